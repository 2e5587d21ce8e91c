// SPDX-License-Identifier: Apache-2.0
// The replicated state machine's front door: apply what was decided, answer questions, take and
// load images. Deterministic and synchronous; no clock, no I/O, no watches (those are volatile:
// kernel).
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>
#include "interfaces/operation.capnp.h"
#include "interfaces/types.capnp.h"

namespace polyquorum::state {

/// Who asks: a list of (scheme, id), e.g. {"digest", "bob:hash"}.
struct Identity {
  std::string scheme, id;
};

struct Permission {
  std::uint8_t bits = 0;  ///< read 1, write 2, create 4, delete 8, admin 16
  Identity who;
};
/// Shared and immutable: nodes with equal ACLs hold the same list.
using Acl = std::shared_ptr<const std::vector<Permission>>;

constexpr std::uint8_t READ = 1, WRITE = 2, CREATE = 4, DELETE = 8, ADMIN = 16;

/// The one choke point: may any of these identities do this under this ACL? "super" always may.
/// Source: ZooKeeperServer.checkACL.
bool permits(const std::vector<Permission>& acl, std::uint8_t bits,
             std::span<const Identity> identities);

/// As ZooKeeper clients see it; see Stat in operation.capnp.
struct Stat {
  std::uint64_t czxid = 0, mzxid = 0, pzxid = 0;
  std::int64_t ctimeMs = 0, mtimeMs = 0;
  std::int32_t version = 0, cversion = 0, aversion = 0;
  std::uint64_t ephemeralOwner = 0;
  std::int32_t dataLength = 0, numChildren = 0;
};

struct Attached {
  std::uint64_t session = 0, incarnation = 0;
  std::uint32_t timeoutMs = 0;
  std::string password;                       ///< 16 bytes
  std::uint64_t before = 0, sequence = 0;     ///< see Attached in operation.capnp
};

/// What became of one Operation; equal on every node. A multi that failed has the error of the
/// operation that failed, and parts: ok before it, its error, rolledBack after it. A multi that was
/// not tried (too long, or damaged as a whole) has an error and no parts.
struct Outcome {
  Error error = Error::OK;
  std::string path;
  std::optional<Stat> stat;
  std::vector<Outcome> parts;
  std::optional<Attached> attached;
};
void write(const Outcome& outcome, polyquorum::Outcome::Builder out);

/// What an entry did to one node, in order. acl: of the node, also after its deletion.
struct Change {
  std::string path;
  polyquorum::Change::What what;
  Acl acl;
};

/// A session that this entry opened, resumed or ended.
struct SessionChange {
  enum What : std::uint8_t { OPENED, RESUMED, ENDED } what;
  std::uint64_t session = 0, incarnation = 0;
  std::uint32_t timeoutMs = 0;
};

/// All that applying one entry did. Valid until the next apply().
struct Applied {
  bool repeated = false;   ///< The outcome is the one kept from the first time; nothing changed.
                           ///< timedOut: it took place, but its outcome is no longer kept.
  bool stale = false;      ///< Of an older incarnation, or a gap: it never took place and never
                           ///< will. outcome.error says why (sessionMoved, sessionExpired).
  Outcome outcome;
  std::vector<Change> changes;
  std::vector<SessionChange> sessions;
};

struct SessionView {
  std::uint64_t id = 0, incarnation = 0, sequence = 0;  ///< sequence: of the last command applied
  std::uint32_t timeoutMs = 0;
};

/// Writes a point-in-time image of the state in slices, while the state goes on changing.
/// Dropping it ends the capture. The state it came from must outlive it.
class Capture {
public:
  virtual ~Capture() = default;
  virtual std::uint64_t index() const = 0;
  /// Appends about bytesMax bytes of image; false, appending nothing, when the image is complete.
  virtual bool next(std::size_t bytesMax, std::string& out) = 0;
};

/// Loads an image in slices; the state changes only when finish() returns it.
class Loader {
public:
  virtual ~Loader() = default;
  /// Throws std::runtime_error (with the byte offset) on an image that is not one.
  virtual void feed(std::span<const std::uint8_t> bytes) = 0;
  virtual std::unique_ptr<class State> finish() = 0;
};

/// One replica's tree, sessions and kept outcomes.
class State {
public:
  /// The state before the first entry: /, /zookeeper, /zookeeper/quota, /zookeeper/config.
  static std::unique_ptr<State> create();
  static std::unique_ptr<Loader> load();
  virtual ~State() = default;

  /// Index of the last entry applied, and its cluster time.
  virtual std::uint64_t index() const = 0;
  virtual std::int64_t timeMs() const = 0;

  /// Applies the next entry; index must be index() + 1. body: see Body in types.capnp; a no-op and
  /// a seal only move the index (and time). Never throws for what a client may send: bad operations
  /// are outcomes. Gate: a command is accepted iff (incarnation, sequence) is its session's next.
  virtual const Applied& apply(std::uint64_t index, polyquorum::Body::Reader body) = 0;
  /// A no-op: moves the index.
  virtual const Applied& apply(std::uint64_t index) = 0;

  /// A new segment begins: /zookeeper/config shows its members. Same call on every node, while
  /// index() is the segment's base (the seal's index, or 0); twice is once. At any other index it
  /// does nothing: the image that was loaded shows it already. Only changes of the answer counts.
  virtual const Applied& enter(polyquorum::Segment::Reader segment) = 0;

  /// Answers from what is applied.
  virtual void answer(polyquorum::Query::Reader query, polyquorum::Answer::Builder out) const = 0;

  /// For watches: does the node exist, its mzxid and pzxid, its ACL. Empty if there is no node.
  struct NodeView {
    std::uint64_t mzxid, pzxid;
    Acl acl;
  };
  virtual std::optional<NodeView> look(std::string_view path) const = 0;

  virtual std::optional<SessionView> session(std::uint64_t id) const = 0;
  virtual void eachSession(const std::function<void(const SessionView&)>& visit) const = 0;
  /// Sorted paths of the ephemerals of a session.
  virtual std::vector<std::string> ephemerals(std::uint64_t session) const = 0;
  /// The outcome kept for (session, sequence) of its current incarnation, if it is still kept.
  /// Valid until the next call of kept() or apply().
  virtual const Outcome* kept(std::uint64_t session, std::uint64_t sequence) const = 0;

  /// Empty containers that once had children, and childless TTL nodes whose time is past at nowMs;
  /// at most countMax.
  virtual std::vector<std::string> reapable(std::int64_t nowMs, std::size_t countMax) const = 0;

  virtual std::uint64_t nodeCount() const = 0;       ///< ZooKeeper's way: a fresh tree has 5.
  virtual std::uint64_t dataBytes() const = 0;
  virtual std::uint64_t ephemeralCount() const = 0;
  virtual std::uint64_t sessionCount() const = 0;

  /// Equal on every node at an equal index. Kept up to date by apply(); O(1).
  virtual std::uint64_t digest() const = 0;

  /// At most one capture at a time.
  virtual std::unique_ptr<Capture> capture() = 0;
};

}  // namespace polyquorum::state
