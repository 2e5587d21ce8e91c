// SPDX-License-Identifier: Apache-2.0
// How an event reads, for programs and for people; see event.h.
#include "simulator/event.h"
#include <cstdio>

namespace polyquorum::simulator {
namespace {

const char* const NAMES[Event::KINDS] = {"phase", "fault",  "cure",    "start", "stop",  "log",
                                         "standing", "link", "send",   "receive", "lose", "decide",
                                         "apply", "image",  "request", "reply", "notice", "violation"};

std::string time(double ms) {
  char out[32];
  snprintf(out, sizeof(out), "%.3f", ms);
  return out;
}

bool parcel(Event::Kind kind) {
  return kind == Event::SEND || kind == Event::RECEIVE || kind == Event::LOSE;
}

/// Numbers that say which attempt a letter belongs to, and nothing to people.
bool internal(const std::string& name) { return name == "session" || name == "run"; }

std::string numbersOf(const Event& event) {
  std::string out;
  for (auto& [name, value] : event.numbers) {
    if (!internal(name)) out += " " + name + "=" + std::to_string(value);
  }
  return out;
}

}  // namespace

const char* nameOf(Event::Kind kind) { return NAMES[kind]; }

std::uint64_t Event::number(const char* name) const {
  for (auto& [known, value] : numbers) {
    if (known == name) return value;
  }
  return 0;
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c < 0x20 || c == 0x7f) {
      char hex[8];
      snprintf(hex, sizeof(hex), "\\u%04x", c);
      out += hex;
    } else {
      out += static_cast<char>(c);
    }
  }
  return out + '"';
}

std::string json(const Event& event) {
  std::string out = "{\"ms\":" + time(event.ms) + ",\"kind\":\"" + nameOf(event.kind) + '"';
  bool between = parcel(event.kind) || event.kind == Event::LINK;
  auto add = [&out](const char* name, const std::string& value) {
    out += std::string(",\"") + name + "\":" + value;
  };
  if (event.server != 0) add(between ? "from" : "server", std::to_string(event.server));
  if (event.peer != 0) add(between ? "to" : "peer", std::to_string(event.peer));
  if (event.client >= 0) add("client", std::to_string(event.client));
  if (event.id != 0) add("id", std::to_string(event.id));
  if (event.since != 0) add("sent", time(event.since));
  if (!event.lane.empty()) add("lane", quoted(event.lane));
  if (!event.what.empty()) add("what", quoted(event.what));
  if (!event.numbers.empty()) {
    std::string numbers;
    for (auto& [name, value] : event.numbers) {
      numbers += (numbers.empty() ? "{" : ",") + quoted(name) + ":" + std::to_string(value);
    }
    add("numbers", numbers + "}");
  }
  if (!event.text.empty()) add("text", quoted(event.text));
  return out + "}";
}

std::string plain(const Event& event) {
  auto server = "server " + std::to_string(event.server);
  auto between = std::to_string(event.server) + " -> " + std::to_string(event.peer);
  auto client = "client " + std::to_string(event.client);
  auto rest = numbersOf(event) + (event.text.empty() ? "" : " " + event.text);
  switch (event.kind) {
    case Event::SEND:
      return between + ": " + event.lane + " " + event.what + rest;
    case Event::RECEIVE:
      return between + ": " + event.lane + " " + event.what + rest + " arrives";
    case Event::LOSE:
      return between + ": " + event.lane + " " + event.what + rest + " is lost";
    case Event::LINK:
      return between + ": the link is " + event.what;
    case Event::STANDING:
      return server + " is " + event.what + rest;
    case Event::DECIDE:
      return server + " is the first to apply" + rest;
    case Event::APPLY:
      return server + " applies" + rest;
    case Event::IMAGE:
      return server + " loads an image" + rest;
    case Event::REQUEST:
      return client + " asks " + server + ": " + event.what + rest;
    case Event::REPLY:
      return client + " is answered by " + server + ": " + event.what + rest;
    case Event::NOTICE:
      return client + " is told by " + server + ": " + event.what + rest;
    case Event::LOG:
      return server + ": " + event.text;
    case Event::FAULT:
      return "fault: " + event.text;
    case Event::VIOLATION:
      return "VIOLATION " + event.what + ": " + event.text;
    default:
      return event.text;
  }
}

}  // namespace polyquorum::simulator
