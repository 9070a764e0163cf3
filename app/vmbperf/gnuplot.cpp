// SPDX-License-Identifier: BSD-3-Clause
#include "gnuplot.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <sstream>

extern char** environ;

namespace vmbperf {
namespace {

/// A file in memory, for this process and its children.
class MemoryFile {
 public:
  explicit MemoryFile(const std::string& contents = {}) : file_{memfd_create("vmbperf", MFD_CLOEXEC)} {
    std::size_t written = 0;
    while (file_ >= 0 && written < contents.size()) {
      const ssize_t now = write(file_, contents.data() + written, contents.size() - written);
      if (now <= 0) break;
      written += static_cast<std::size_t>(now);
    }
    if (file_ >= 0) (void)lseek(file_, 0, SEEK_SET);
  }
  ~MemoryFile() {
    if (file_ >= 0) (void)close(file_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  [[nodiscard]] int file() const { return file_; }
  [[nodiscard]] std::string contents() const {
    std::string text;
    char part[4096];
    if (file_ < 0) return text;
    (void)lseek(file_, 0, SEEK_SET);
    for (ssize_t now; (now = read(file_, part, sizeof part)) > 0;) text.append(part, static_cast<std::size_t>(now));
    return text;
  }

 private:
  int file_;
};

/// In double quotes, gnuplot takes backslashes and "enhanced" marks for its own; in single ones only the quote itself, twice.
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char letter : text) {
    if (letter == '\'') out += '\'';
    out += static_cast<unsigned char>(letter) < ' ' ? ' ' : letter;
  }
  return out + "'";
}

/// Far from those of the curves before it, however many there are.
std::string colour(std::size_t curve) {
  const double hue = std::fmod(static_cast<double>(curve) * 0.618034, 1.0);
  const auto part = [hue](double shift) {
    const double distance = std::abs(std::fmod(hue + shift, 1.0) * 6 - 3) - 1;
    return static_cast<unsigned>(40 + 175 * std::min(1.0, std::max(0.0, distance)));
  };
  char text[16];
  std::snprintf(text, sizeof text, "'#%02x%02x%02x'", part(0), part(2.0 / 3), part(1.0 / 3));
  return text;
}

std::string script_of(const Plot& plot) {
  std::ostringstream script;
  script << "set terminal svg noenhanced size 1100,460 font 'sans-serif,13' background rgb 'white'\n"
         << "set title " << quoted(plot.title) << "\nset xlabel " << quoted(plot.x_label) << "\nset ylabel "
         << quoted(plot.y_label) << "\nset key outside right Left reverse\nset grid\n"
         << (plot.log_y ? "set logscale y\n" : "set yrange [0:*]\n");
  if (plot.log_x) script << "set logscale x\n";
  if (plot.style == Plot::Style::bars) {
    script << "set style data histograms\nset style fill solid 0.8\nset boxwidth 0.9\nset xtics rotate by -30\n";
  } else {
    script << "set style data " << (plot.style == Plot::Style::lines ? "lines\n" : "linespoints\n");
  }
  for (std::size_t i = 0; i < plot.curves.size(); ++i) {
    script << "$curve" << i << " << END\n";
    std::size_t at = 0;
    for (const auto& [x, y] : plot.curves[i].points) {
      script << x << ' ' << y;
      if (plot.style == Plot::Style::bars && at < plot.categories.size()) script << " \"" << plot.categories[at] << '"';
      script << '\n';
      ++at;
    }
    script << "END\n";
  }
  script << "plot ";
  for (std::size_t i = 0; i < plot.curves.size(); ++i) {
    script << (i == 0 ? "" : ", ") << "$curve" << i
           << (plot.style == Plot::Style::bars ? " using 2:xtic(3)" : " using 1:2") << " title "
           << quoted(plot.curves[i].name) << " linewidth 2 linecolor rgb " << colour(i)
           << (plot.style == Plot::Style::points ? " pointtype " + std::to_string(i + 1) : "");
  }
  script << '\n';
  return script.str();
}

std::string last_line(const std::string& text) {
  const std::size_t end = text.find_last_not_of(" \n\t");
  if (end == std::string::npos) return {};
  const std::size_t start = text.find_last_of('\n', end);
  return text.substr(start == std::string::npos ? 0 : start + 1, end - (start == std::string::npos ? 0 : start));
}

}  // namespace

std::string draw(const Plot& plot, std::string& svg) {
  const MemoryFile script{script_of(plot)}, result, complaints;
  posix_spawn_file_actions_t actions;
  (void)posix_spawn_file_actions_init(&actions);
  (void)posix_spawn_file_actions_adddup2(&actions, script.file(), STDIN_FILENO);
  (void)posix_spawn_file_actions_adddup2(&actions, result.file(), STDOUT_FILENO);
  (void)posix_spawn_file_actions_adddup2(&actions, complaints.file(), STDERR_FILENO);
  char name[] = "gnuplot", quiet[] = "--default-settings";
  char* const arguments[] = {name, quiet, nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, name, &actions, nullptr, arguments, environ);
  (void)posix_spawn_file_actions_destroy(&actions);
  if (error != 0)
    return error == ENOENT ? "--report needs gnuplot: install the package gnuplot-nox"
                           : std::string{"gnuplot: "} + std::strerror(error);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  const std::string text = result.contents();
  const std::size_t start = text.find("<svg");  // what stands before is for files of their own
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || start == std::string::npos)
    return "gnuplot could not draw '" + plot.title + "': " + last_line(complaints.contents());
  svg = text.substr(start);
  return {};
}

}  // namespace vmbperf
