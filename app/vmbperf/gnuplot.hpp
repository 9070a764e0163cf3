// SPDX-License-Identifier: BSD-3-Clause
// Plots as SVG, drawn by gnuplot (Debian: gnuplot-nox).
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace vmbperf {

struct Plot {
  struct Curve {
    std::string name;
    std::vector<std::pair<double, double>> points;
  };
  enum class Style : unsigned char {
    lines,
    points,  // and lines between them
    bars,
  };

  std::string title;
  std::string x_label;
  std::string y_label;
  bool log_x = false;
  bool log_y = false;
  Style style = Style::lines;
  std::vector<std::string> categories{};  // of bars: what stands below them
  std::vector<Curve> curves{};
};

/// @param svg  set to an <svg> element, to be put into a page as it is.
/// @return  empty; else one line that says what went wrong.
std::string draw(const Plot& plot, std::string& svg);

}  // namespace vmbperf
