// SPDX-License-Identifier: Apache-2.0
// From YAML text to a Tree, strictly: yaml-cpp's events are checked one by one, because its node
// API loses duplicate keys and expands aliases. The only file that includes yaml-cpp.
#include "kernel/config.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>
#include "kernel/config_tree.h"

namespace polyquorum::kernel {
namespace {

constexpr std::size_t DEPTH_MAX = 16;
constexpr std::size_t PROBLEMS_MAX = 100;  ///< of the text itself; a reader's patience ends earlier

/// Thrown to leave yaml-cpp's parser; the problem is already noted.
struct Stop {};

/// Builds the tree from the parser's events.
class Builder final : public YAML::EventHandler {
 public:
  Builder(const std::string& file, std::vector<Problem>& problems)
      : file(file), problems(problems) {}

  Tree root;
  int documents = 0;

  Place at(const YAML::Mark& mark) const { return {file, mark.line + 1, mark.column + 1}; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents == 1) return;
    problems.push_back(
        {at(mark), "", "a second YAML document begins here; keep one document in the file"});
    throw Stop();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuseExtras(mark, "?", anchor);
    Tree tree;
    tree.place = at(mark);
    add(std::move(tree));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    problems.push_back({at(mark), path(), "aliases (*name) are not accepted; write the value out"});
    Tree tree;
    tree.place = at(mark);
    tree.refused = true;
    add(std::move(tree));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuseExtras(mark, tag, anchor);
    Tree tree;
    tree.kind = Tree::SCALAR;
    tree.place = at(mark);
    tree.text = value;
    tree.quoted = tag == "!";
    add(std::move(tree));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(Tree::LIST, mark, tag, anchor);
  }
  void OnSequenceEnd() override { end(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(Tree::MAP, mark, tag, anchor);
  }
  void OnMapEnd() override { end(); }

 private:
  /// A container that is still being read. awaiting: a map's key was read, its value was not.
  struct Open {
    Tree tree;
    bool awaiting = false, ignore = false;
    std::string key;
    Place keyPlace;
  };

  const std::string& file;
  std::vector<Problem>& problems;
  std::vector<Open> open;

  std::string path() const {
    std::string path;
    for (auto& level : open) {
      if (level.tree.kind == Tree::LIST) {
        path += "[" + std::to_string(level.tree.members.size()) + "]";
      } else if (level.awaiting) {
        path += (path.empty() ? "" : ".") + level.key;
      }
    }
    return path;
  }

  void refuseExtras(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      problems.push_back(
          {at(mark), path(), "anchors (&name) are not accepted; write the value out each time"});
    }
    if (!tag.empty() && tag != "?" && tag != "!") {
      problems.push_back({at(mark), path(), "tags (!name) are not accepted; remove the tag"});
    }
  }

  void begin(Tree::Kind kind, const YAML::Mark& mark, const std::string& tag,
             YAML::anchor_t anchor) {
    refuseExtras(mark, tag, anchor);
    if (open.size() == DEPTH_MAX) {
      problems.push_back(
          {at(mark), path(), "nested deeper than " + std::to_string(DEPTH_MAX) + " levels"});
      throw Stop();
    }
    Open level;
    level.tree.kind = kind;
    level.tree.place = at(mark);
    open.push_back(std::move(level));
  }

  void end() {
    auto tree = std::move(open.back().tree);
    open.pop_back();
    add(std::move(tree));
  }

  void add(Tree tree) {
    if (open.empty()) {
      root = std::move(tree);
      return;
    }
    auto& level = open.back();
    if (level.tree.kind == Tree::LIST) {
      level.tree.members.push_back(std::move(tree));
    } else if (!level.awaiting) {
      addKey(level, tree);
    } else {
      level.awaiting = false;
      if (level.ignore) return;
      tree.key = level.key;
      tree.keyPlace = level.keyPlace;
      if (tree.kind == Tree::NOTHING) tree.place = level.keyPlace;
      level.tree.members.push_back(std::move(tree));
    }
  }

  void addKey(Open& level, const Tree& tree) {
    auto where = path();
    level.key = tree.text;
    level.keyPlace = tree.place;
    level.ignore = false;
    level.awaiting = true;
    if (tree.kind != Tree::SCALAR || tree.text.empty()) {
      level.ignore = true;
      level.key = "?";
      problems.push_back({tree.place, where, "a key must be a plain word"});
    } else if (tree.text == "<<") {
      level.ignore = true;
      level.tree.refused = true;
      problems.push_back(
          {tree.place, where, "merge keys (<<) are not accepted; write the keys out"});
    } else if (auto* first = level.tree.find(tree.text)) {
      level.ignore = true;
      problems.push_back({tree.place, path(),
                          "this key was given already in line " +
                              std::to_string(first->keyPlace.line) + "; remove one of the two"});
    }
  }
};

/// Length of the UTF-8 character at text[i], or 0 if there is none (RFC 3629: no surrogates, no
/// overlong forms, nothing above U+10FFFF).
std::size_t characterAt(const std::string& text, std::size_t i) {
  auto byte = [&](std::size_t k) -> unsigned {
    return k < text.size() ? static_cast<unsigned char>(text[k]) : 0;
  };
  unsigned first = byte(i);
  if (first < 0x80) return 1;
  unsigned low = 0x80, high = 0xbf;
  std::size_t length = 0;
  if (first >= 0xc2 && first <= 0xdf) length = 2;
  if (first >= 0xe0 && first <= 0xef) length = 3;
  if (first >= 0xf0 && first <= 0xf4) length = 4;
  if (first == 0xe0) low = 0xa0;
  if (first == 0xed) high = 0x9f;
  if (first == 0xf0) low = 0x90;
  if (first == 0xf4) high = 0x8f;
  if (length == 0 || byte(i + 1) < low || byte(i + 1) > high) return 0;
  for (std::size_t k = 2; k < length; k++) {
    if (byte(i + k) < 0x80 || byte(i + k) > 0xbf) return 0;
  }
  return length;
}

/// What is wrong with the text before any YAML is looked at. True if it may be parsed.
bool checkCharacters(const std::string& text, const std::string& file,
                     std::vector<Problem>& problems) {
  auto before = problems.size();
  int line = 1, column = 1;
  bool indenting = true;
  for (std::size_t i = 0; i < text.size() && problems.size() < before + PROBLEMS_MAX;) {
    auto length = characterAt(text, i);
    if (length == 0) {
      problems.push_back({{file, line, column}, "", "not UTF-8; save the file in UTF-8"});
      return false;
    }
    unsigned char c = text[i];
    if (c == '\t' && indenting) {
      problems.push_back({{file, line, column}, "", "a tab in front of a line; use spaces"});
      indenting = false;
    } else if ((c < ' ' && c != '\n' && c != '\r' && c != '\t') || c == 0x7f) {
      problems.push_back({{file, line, column},
                          "",
                          "a control character (code " + std::to_string(c) + "); remove it"});
    }
    if (c != ' ') indenting = c == '\n';
    column = c == '\n' ? 1 : column + 1;
    if (c == '\n') line++;
    i += length;
  }
  return problems.size() == before;
}

Place whole(const std::string& file) { return {file, 0, 0}; }

std::string readText(const std::string& file) {
  auto refuse = [&](const std::string& reason) { throw ConfigError({{whole(file), "", reason}}); };
  // Non-blocking, so that a FIFO without a writer is refused instead of waited for.
  int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    refuse(std::string("cannot be read: ") + std::strerror(errno) +
           "; give the path of a YAML file with --config");
  }
  struct Closer {
    int fd;
    ~Closer() { close(fd); }
  } closer{fd};
  struct stat info;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) refuse("not a regular file");
  if (static_cast<std::uint64_t>(info.st_size) > CONFIG_BYTES_MAX) {
    refuse("larger than 1 MiB; a configuration is a page or two");
  }
  // One byte more than it has: a file that grows meanwhile ends where it is checked again.
  std::string text(static_cast<std::size_t>(info.st_size) + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    auto count = read(fd, text.data() + size, text.size() - size);
    if (count < 0) refuse(std::string("cannot be read: ") + std::strerror(errno));
    if (count == 0) break;
    size += count;
  }
  text.resize(size);
  return text;
}

}  // namespace

std::string Place::text() const {
  if (line == 0) return file;
  return file + ":" + std::to_string(line) + ":" + std::to_string(column);
}

std::string Problem::text() const {
  return place.text() + ": " + (key.empty() ? "" : key + ": ") + reason;
}

static std::string joined(const std::vector<Problem>& problems) {
  std::string all;
  for (auto& problem : problems) all += (all.empty() ? "" : "\n") + problem.text();
  return all;
}

ConfigError::ConfigError(std::vector<Problem> problems)
    : std::runtime_error(joined(problems)), problems(std::move(problems)) {}

const ServerRow* Config::server(std::uint32_t id) const {
  for (auto& row : servers) {
    if (row.id == id) return &row;
  }
  return nullptr;
}

const Tree* Tree::find(const std::string& name) const {
  for (auto& member : members) {
    if (member.key == name) return &member;
  }
  return nullptr;
}

Tree readTree(const std::string& text, const std::string& file, std::vector<Problem>& problems) {
  if (text.size() > CONFIG_BYTES_MAX) {
    problems.push_back({whole(file), "", "larger than 1 MiB; a configuration is a page or two"});
    return {};
  }
  bool marked = text.compare(0, 3, "\xef\xbb\xbf") == 0;  // the byte order mark of some editors
  auto body = marked ? text.substr(3) : text;
  if (!checkCharacters(body, file, problems)) return {};
  Builder builder(file, problems);
  try {
    std::istringstream stream(body);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Stop&) {
  } catch (const YAML::Exception& error) {
    // What was read of a broken text would only give problems that are none.
    problems.push_back({builder.at(error.mark), "",
                        "not YAML: " + error.msg +
                            "; look for a bracket, a quote or a space after a colon that is "
                            "missing here or shortly before"});
    return {};
  }
  return std::move(builder.root);
}

Config parseConfig(const std::string& text, const std::string& file, const std::string& folder) {
  std::vector<Problem> problems;
  auto tree = readTree(text, file, problems);
  bool unreadable = tree.kind == Tree::NOTHING && !problems.empty();
  auto config = unreadable ? Config{} : readRules(tree, file, folder, problems);
  if (!problems.empty()) {
    std::stable_sort(problems.begin(), problems.end(), [](auto& a, auto& b) {
      return std::pair(a.place.line, a.place.column) < std::pair(b.place.line, b.place.column);
    });
    throw ConfigError(std::move(problems));
  }
  return config;
}

Config readConfig(const std::string& file) {
  auto text = readText(file);
  auto folder = std::filesystem::absolute(file).lexically_normal().parent_path();
  return parseConfig(text, file, folder.string());
}

}  // namespace polyquorum::kernel
