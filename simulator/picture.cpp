// SPDX-License-Identifier: Apache-2.0
// Puts a run into the page; see picture.h.
#include "simulator/picture.h"
#include <map>
#include "simulator/picture_page.h"
#include "simulator/telling.h"

namespace polyquorum::simulator {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&quot;";
    else out += c;
  }
  return out;
}

/// JSON inside a script: nothing in it may look like the script's end.
std::string inScript(const std::string& json) {
  std::string out;
  for (char c : json) {
    if (c == '<') out += "\\u003c";
    else out += c;
  }
  return out;
}

std::string storyOf(const std::vector<Event>& events) {
  std::string out;
  for (auto& line : retell(events)) {
    bool bad = line.find("VIOLATION") != std::string::npos;
    out += "<li data-ms=\"" + std::to_string(std::stod(line)) + "\"" + (bad ? " class=\"bad\"" : "") +
           ">" + escaped(line) + "</li>\n";
  }
  return out;
}

std::string lengthsOf(const std::vector<Injection>& faults) {
  std::string out;
  for (auto& fault : faults) {
    out += (out.empty() ? "" : ",") + ('"' + std::to_string(fault.number)) +
           "\":" + std::to_string(fault.forMs);
  }
  return "{" + out + "}";
}

}  // namespace

void drawPicture(std::ostream& out, const CampaignResult& result, const std::string& title,
                 const std::string& replay) {
  std::map<std::string, std::string> places;
  places["TITLE"] = escaped(title);
  places["HEADING"] = escaped(title);
  if (result.violation) {
    places["HEADING"] += ": <b>" + escaped(result.violation->checker) + "</b>: " +
                         escaped(result.violation->what);
  }
  places["REPLAY"] = escaped(replay);
  places["STORY"] = storyOf(result.events);
  places["FAULTS"] = lengthsOf(result.faults);
  std::string page = PICTURE_PAGE;
  for (std::size_t at = 0;;) {
    auto begin = page.find('%', at);
    auto end = begin == std::string::npos ? begin : page.find('%', begin + 1);
    if (end == std::string::npos) {
      out << page.substr(at);
      return;
    }
    auto name = page.substr(begin + 1, end - begin - 1);
    auto known = places.find(name);
    if (known != places.end()) {
      out << page.substr(at, begin - at) << known->second;
    } else if (name == "EVENTS") {
      out << page.substr(at, begin - at);
      for (auto& event : result.events) out << inScript(json(event)) << '\n';
    } else {
      out << page.substr(at, begin + 1 - at);
      at = begin + 1;
      continue;
    }
    at = end + 1;
  }
}

}  // namespace polyquorum::simulator
