// SPDX-License-Identifier: BSD-3-Clause
#include "private_folder.hpp"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

namespace vmbperf {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "vmbperf.";  // and the process, and what makes it unique

/// Folders of processes that were killed, where they are ours to remove.
void remove_orphans(const fs::path& base) {
  std::error_code error;
  for (fs::directory_iterator entry{base, error}, end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    const int process = std::atoi(name.c_str() + std::char_traits<char>::length(kPrefix));
    std::error_code ignored;
    if (process > 0 && kill(process, 0) != 0 && errno == ESRCH) fs::remove_all(entry->path(), ignored);
  }
}

}  // namespace

PrivateFolder::PrivateFolder() {
  const char* const own = std::getenv("XDG_RUNTIME_DIR");
  for (const std::string base : {"/run", own == nullptr ? "" : own}) {
    if (base.empty()) continue;
    remove_orphans(base);
    std::string name = base + "/" + kPrefix + std::to_string(getpid()) + ".XXXXXX";
    if (mkdtemp(name.data()) == nullptr) continue;
    path_ = name;
    return;
  }
}

PrivateFolder::~PrivateFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
}

}  // namespace vmbperf
