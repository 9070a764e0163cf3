// SPDX-License-Identifier: BSD-3-Clause
#include "recipes.hpp"

#include <unistd.h>

#include <algorithm>

namespace vmbperf {
namespace {

Recipe memif(const Place& place, const std::string& variant, const std::string& client_arguments) {
  const std::string name = variant + place.suffix;
  const std::string socket = ",id=0,socket=vmbperf-" + name + "-" + std::to_string(getpid());  // abstract: no file
  std::string client = socket + client_arguments;
  if (place.max_frame > kStandardFrame) client += ",bsize=" + std::to_string((place.max_frame + 1023) / 1024 * 1024);
  return {.driver = "memif",
          .variant = variant,
          .vdevs = {{"net_memif_server_" + name, "role=server" + socket},
                    {"net_memif_client_" + name, "role=client" + client}},
          .ends = {"server", "client"}};
}

/// The vhost port goes first: virtio-user connects to its socket while it is created.
Recipe virtio(const Place& place, const std::string& variant, const std::string& arguments) {
  const std::string name = variant + place.suffix;
  const std::string socket = place.folder + "/" + name;
  const std::string queues = ",queues=" + std::to_string(place.queues);
  Recipe recipe{.driver = "virtio",
                .variant = variant,
                .vdevs = {{"net_vhost_" + name, "iface=" + socket + queues},
                          {"net_virtio_user_" + name, "path=" + socket + queues + ",queue_size=1024" + arguments}},
                .ends = {"vhost", "virtio-user"}};
  if (place.folder.empty()) recipe.not_yet = "no folder of its own for the socket could be made in /run";
  return recipe;
}

Recipe floor(Recipe::Kind kind, const std::string& variant) {
  return {.driver = "floor", .variant = variant, .ends = {"one", "other"}, .kind = kind};
}

}  // namespace

std::vector<Recipe> recipes(const Place& place) {
  const std::string link = ",link=vmbperf" + place.suffix;
  return {
      memif(place, "copy", ""),
      {.driver = "vmbpmd",
       .variant = "",
       .vdevs = {{"net_vmbpmd_host" + place.suffix, "role=host" + link},
                 {"net_vmbpmd_guest" + place.suffix, "role=guest" + link}},
       .ends = {"host", "guest"}},
      {.driver = "vmbpmd", .variant = "zero-copy", .not_yet = "not there yet: the driver copies at one end at least"},
      virtio(place, "split", ""),
      virtio(place, "packed", ",packed_vq=1,in_order=1,mrg_rxbuf=0"),
      virtio(place, "packed-vector", ",packed_vq=1,in_order=1,mrg_rxbuf=0,vectorized=1"),
      {.driver = "ring", .variant = "", .vdevs = {{"net_ring" + place.suffix + "_p", ""}}},
      floor(Recipe::Kind::floor, ""),
      floor(Recipe::Kind::floor_one_copy, "one-copy"),
      // Last: with DPDK 22.11 EAL's memory cannot grow once its zero-copy client has connected (it closes EAL's files).
      memif(place, "zero-copy", ",zero-copy=yes"),
  };
}

Recipe null_recipe() { return {.driver = "null", .variant = "", .vdevs = {{"net_null_vmbperf", ""}}}; }

std::vector<std::string> driver_names() {
  std::vector<std::string> names;
  for (const Recipe& recipe : recipes({})) {
    if (std::find(names.begin(), names.end(), recipe.driver) == names.end()) names.push_back(recipe.driver);
  }
  return names;
}

}  // namespace vmbperf
