// SPDX-License-Identifier: Apache-2.0
// "host:port" taken apart.
#pragma once
#include <optional>
#include <string>
#include <vector>

namespace polyquorum::zookeeper_client {

struct Endpoint {
  std::string host, port;
};

/// "host:port" or "[v6]:port"; nothing if it is neither.
inline std::optional<Endpoint> splitEndpoint(const std::string& text) {
  auto colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) return std::nullopt;
  auto host = text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return Endpoint{host, text.substr(colon + 1)};
}

/// "a:1,b:2" as ZooKeeper's clients take it.
inline std::vector<std::string> splitEndpoints(const std::string& text) {
  std::vector<std::string> endpoints;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    auto comma = text.find(',', begin);
    if (comma == std::string::npos) comma = text.size();
    if (comma > begin) endpoints.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return endpoints;
}

}  // namespace polyquorum::zookeeper_client
