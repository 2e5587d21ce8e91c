// SPDX-License-Identifier: Apache-2.0
// The schemas of today against the frozen copy of every release, and against copies that are
// altered on purpose (compiled by the capnp tool while the test runs).
#include <capnp/serialize.h>
#include <fcntl.h>
#include <kj/io.h>
#include <stdlib.h>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include "tests/interfaces/compare.h"
#include "tests/support/folder.h"

namespace polyquorum::frozen {
namespace {

namespace fs = std::filesystem;

struct Compiled {
  kj::Own<capnp::MessageReader> message;
  Request request() { return message->getRoot<capnp::schema::CodeGeneratorRequest>(); }
};

Compiled readSchemas(const fs::path& file) {
  auto handle = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  INFO(file.string());
  REQUIRE(handle >= 0);
  capnp::ReaderOptions options;
  options.traversalLimitInWords = 64 << 20;
  return {kj::heap<capnp::StreamFdMessageReader>(kj::AutoCloseFd(handle), options)};
}

/// A copy of interfaces/ that may be altered, gone when the test ends.
class Copy {
 public:
  Copy() {
    for (auto room : {"interfaces", "kernel"}) {
      fs::create_directory(folder / room);
      for (auto& entry : fs::directory_iterator(fs::path(POLYQUORUM_SOURCE) / room)) {
        if (entry.path().extension() == ".capnp") fs::copy(entry.path(), folder / room);
      }
    }
  }

  /// Replaces the one place that matches.
  void alter(const std::string& name, const std::string& pattern, const std::string& with) {
    auto path = folder / "interfaces" / name;
    std::ifstream in(path);
    std::string text((std::istreambuf_iterator<char>(in)), {});
    auto altered = std::regex_replace(text, std::regex(pattern), with,
                                      std::regex_constants::format_first_only);
    INFO(name << ": " << pattern);
    REQUIRE(altered != text);
    std::ofstream(path) << altered;
  }

  Compiled compile() {
    auto out = folder / "schemas.bin";
    std::string command = "cd " + folder.string() +
                          " && " CAPNP_TOOL
                          " compile -o- -I. --src-prefix=. interfaces/*.capnp kernel/*.capnp >" +
                          out.string();
    REQUIRE(system(command.c_str()) == 0);
    return readSchemas(out);
  }

 private:
  test::Folder own;
  const fs::path folder = own.path;
};

std::string joined(const std::vector<std::string>& reasons) {
  std::string text;
  for (auto& reason : reasons) text += reason + "\n";
  return text;
}

/// What is refused after one alteration, against the schemas of today.
std::string refusalOf(const std::string& name, const std::string& pattern,
                      const std::string& with) {
  static Compiled today = Copy().compile();
  Copy copy;
  copy.alter(name, pattern, with);
  auto altered = copy.compile();
  return joined(incompatibilities(today.request(), altered.request()));
}

using Catch::Matchers::Contains;

}  // namespace

TEST_CASE("the schemas of today are successors of every frozen release (prototype.md, section 4)") {
  auto today = Copy().compile();
  int releases = 0;
  for (auto& release : fs::directory_iterator(fs::path(POLYQUORUM_SOURCE) / "interfaces/frozen")) {
    if (!release.is_directory()) continue;
    auto frozen = readSchemas(release.path() / "schemas.bin");
    INFO("against " << release.path().filename()
                    << "; incompatible schemas make old plugins and members misread new ones. Add "
                       "a field, method or node instead of changing one");
    CHECK(frozen.request().getNodes().size() > 100);
    CHECK(joined(incompatibilities(frozen.request(), today.request())) == "");
    releases++;
  }
  CHECK(releases >= 1);
}

TEST_CASE("adding a field, a method and a node is compatible") {
  CHECK(refusalOf("types.capnp", "(struct Position @0x\\w+ \\{)", "$1 extra @2 :Text;") == "");
  CHECK(refusalOf("election.capnp", "(interface Election @0x\\w+ \\{)",
                  "$1 more @1 () -> (text :Text);") == "");
  CHECK(refusalOf("types.capnp", "(using Nanos)", "struct Extra @0xb5d03ee7c84b1d51 {}\n$1") == "");
}

TEST_CASE("a field that has another type is refused") {
  CHECK_THAT(
      refusalOf("types.capnp", "(struct Position @0x\\w+ \\{[^}]*index *@\\d+ *:)\\w+", "$1Text"),
      Contains("Position"));
}

TEST_CASE("a removed last field is refused, which SchemaLoader takes for a downgrade") {
  CHECK_THAT(refusalOf("operation.capnp", "(struct Permission @0x\\w+ \\{ bits @0 :UInt8;)[^}]*\\}",
                       "$1 }"),
             Contains("field who was removed"));
}

TEST_CASE("a renamed and an exchanged field are refused") {
  CHECK_THAT(refusalOf("operation.capnp", "who @1 :Identity", "whom @1 :Identity"),
             Contains("field who was removed or renamed"));
  CHECK_THAT(refusalOf("operation.capnp", "bits @0 :UInt8; who @1", "who @0 :UInt8; bits @1"),
             Contains("Permission"));
}

TEST_CASE("a removed, a renamed and a differently made method are refused") {
  CHECK_THAT(refusalOf("election.capnp", "\\bstep @0 ", "stride @0 "),
             Contains("method step is now stride"));
  CHECK_THAT(refusalOf("election.capnp", "now :Types\\.Nanos", "now :Text"),
             Contains("step$Params"));
}

TEST_CASE("an interface or struct that gets another id is refused") {
  CHECK_THAT(refusalOf("election.capnp", "interface Election @0x\\w+",
                       "interface Election @0xd1d03ee7c84b1d51"),
             Contains("Election was removed, or has another id"));
  CHECK_THAT(
      refusalOf("types.capnp", "struct Position @0x\\w+", "struct Position @0xd1d03ee7c84b1d52"),
      Contains("Position was removed, or has another id"));
}

TEST_CASE("a changed default and a removed enumerant are refused") {
  CHECK_THAT(refusalOf("operation.capnp", "bits @0 :UInt8;", "bits @0 :UInt8 = 3;"),
             Contains("Permission"));
  CHECK_THAT(refusalOf("operation.capnp", " ttl @3;", ""), Contains("enumerant ttl was removed"));
}

}  // namespace polyquorum::frozen
