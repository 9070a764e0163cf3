// SPDX-License-Identifier: BSD-3-Clause
// A folder for this process alone, gone with its contents when this object is.
#pragma once

#include <string>

namespace vmbperf {

class PrivateFolder {
 public:
  /// In /run, else in $XDG_RUNTIME_DIR.
  PrivateFolder();
  ~PrivateFolder();
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  /// Empty: none could be made.
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace vmbperf
