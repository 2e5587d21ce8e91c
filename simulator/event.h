// SPDX-License-Identifier: Apache-2.0
// One thing that happened in a run, with typed fields: what traces, told stories and pictures are
// made of. docs/simulation.md lists kinds and fields.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>
#include "sdk/core.h"

namespace polyquorum::simulator {

struct Event {
  enum Kind : std::uint8_t {
    PHASE,      ///< of the run: begin, healing, cold restart
    FAULT,      ///< something is done to servers, links or disks
    CURE,       ///< and undone
    START,      ///< a life of a server begins
    STOP,       ///< and ends
    LOG,        ///< what a server logs
    STANDING,   ///< what a server's consensus takes itself for
    LINK,       ///< two servers are connected, or no longer
    SEND,       ///< a parcel leaves
    RECEIVE,    ///< it is handed to its receiver
    LOSE,       ///< or never will be
    DECIDE,     ///< an index is applied for the first time anywhere
    APPLY,      ///< and at other servers
    IMAGE,      ///< a server's state is replaced by an image
    REQUEST,    ///< of a client
    REPLY,      ///< to it
    NOTICE,     ///< an event of a watch, or the end of the session there
    VIOLATION,  ///< a promise is broken
    KINDS
  };
  using Number = std::pair<std::string, std::uint64_t>;

  Kind kind = LOG;
  double ms = 0;                ///< simulated
  core::MemberId server = 0;    ///< where; of parcels: from; 0: nowhere
  core::MemberId peer = 0;      ///< of parcels and links: to
  int client = -1;              ///< none
  std::uint64_t id = 0;         ///< joins send with receive or lose, a request with its reply
  double since = 0;             ///< of receive, lose and reply: when it was sent
  std::string lane;             ///< of parcels
  std::string what;             ///< letter, operation, error, phase: one word
  std::vector<Number> numbers;  ///< as the plugin that sends the letter names them; index, fence ...
  std::string text;             ///< for people; empty if the rest says all

  std::uint64_t number(const char* name) const;  ///< 0 if absent
};

/// In small letters, as in traces.
const char* nameOf(Event::Kind kind);

/// One JSON object on one line, without its end.
std::string json(const Event& event);

/// One line for a person, without its time.
std::string plain(const Event& event);

/// text as a JSON string, with its quotes.
std::string quoted(const std::string& text);

}  // namespace polyquorum::simulator
