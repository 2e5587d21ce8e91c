// SPDX-License-Identifier: Apache-2.0
// See four_letter_word.h.
#include "clients/zookeeper/four_letter_word.h"
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include "clients/zookeeper/endpoint.h"

namespace polyquorum::zookeeper_client {
namespace asio = boost::asio;
using asio::ip::tcp;

std::optional<std::string> fourLetterWord(const std::string& address, const std::string& word,
                                          int timeoutMs) {
  asio::io_context io(1);
  tcp::socket socket(io);
  tcp::resolver resolver(io);
  auto where = splitEndpoint(address);
  if (!where) return std::nullopt;
  std::string answer;
  bool complete = false;
  auto read = [&](auto error, auto) { complete = error == asio::error::eof; };
  auto written = [&](auto error, auto) {
    if (!error) asio::async_read(socket, asio::dynamic_buffer(answer, 16 << 20), read);
  };
  auto connected = [&](auto error, auto) {
    if (!error) asio::async_write(socket, asio::buffer(word), written);
  };
  resolver.async_resolve(where->host, where->port, [&](auto error, auto found) {
    if (!error) asio::async_connect(socket, found, connected);
  });
  io.run_for(std::chrono::milliseconds(timeoutMs));
  boost::system::error_code ignored;
  socket.close(ignored);
  resolver.cancel();
  io.restart();
  io.poll();  // what was aborted must not outlive its targets
  return complete ? std::optional(answer) : std::nullopt;
}

}  // namespace polyquorum::zookeeper_client
