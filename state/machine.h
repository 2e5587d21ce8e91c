// SPDX-License-Identifier: Apache-2.0
// The state behind state.h: gate, operations, queries and images over one tree and one table of
// sessions. Start reading at Machine::apply in apply.cpp.
#pragma once
#include <string>
#include <string_view>
#include "state/acl.h"
#include "state/quotas.h"
#include "state/sessions.h"
#include "state/tree.h"

namespace polyquorum::state {

class Machine final : public State {
public:
  Machine() : tree(acls) {}
  /// For the loader, which fills it.
  explicit Machine(Tree::Empty empty) : tree(acls, empty) {}

  std::uint64_t index() const override { return now.index; }
  std::int64_t timeMs() const override { return now.timeMs; }
  const Applied& apply(std::uint64_t index, polyquorum::Body::Reader body) override;
  const Applied& apply(std::uint64_t index) override;
  const Applied& enter(polyquorum::Segment::Reader segment) override;
  void answer(polyquorum::Query::Reader query, polyquorum::Answer::Builder out) const override;
  std::optional<NodeView> look(std::string_view path) const override;
  std::optional<SessionView> session(std::uint64_t id) const override;
  void eachSession(const std::function<void(const SessionView&)>& visit) const override;
  std::vector<std::string> ephemerals(std::uint64_t session) const override;
  const Outcome* kept(std::uint64_t session, std::uint64_t sequence) const override;
  std::vector<std::string> reapable(std::int64_t nowMs, std::size_t countMax) const override;
  std::uint64_t nodeCount() const override { return tree.count() + 1; }
  std::uint64_t dataBytes() const override { return tree.bytes(); }
  std::uint64_t ephemeralCount() const override { return tree.ephemeralCount(); }
  std::uint64_t sessionCount() const override { return sessions.count(); }
  std::uint64_t digest() const override;
  std::unique_ptr<Capture> capture() override;

private:
  friend class ImageCapture;
  friend class ImageLoader;

  /// The session that a command came from; id 0: none.
  struct Request {
    std::uint64_t session = 0;
    Asker asker;
    bool enforceQuota = false;
  };

  Acls acls;
  Tree tree;
  Sessions sessions;
  Quotas quotas;
  Moment now;
  Applied applied;
  mutable Outcome found;  // what kept() answered last

  // apply.cpp
  void advance(std::uint64_t index, std::int64_t timeMs);
  bool gate(Session* session, polyquorum::Body::Reader body);
  void run(std::uint64_t session, capnp::Data::Reader bytes);
  Error perform(polyquorum::Operation::Reader operation, Request& request);
  void refuse(Error error);

  // operations.cpp; each checks, then changes, and fills outcome
  Error single(polyquorum::Operation::Reader operation, Request& request, Outcome& outcome);
  Error create(polyquorum::Create::Reader create, Request& request, Outcome& outcome);
  Error remove(polyquorum::Guard::Reader guard, Request& request);
  Error setData(polyquorum::SetData::Reader set, Request& request, Outcome& outcome);
  Error setAcl(polyquorum::SetAcl::Reader set, Request& request, Outcome& outcome);
  Error check(polyquorum::Guard::Reader guard, Request& request);
  void removeNode(Slot slot, std::string_view path);
  void note(std::string_view path, polyquorum::Change::What what, AclId acl);
  void noteParent(std::string_view childPath, Slot parent);

  // multi.cpp
  Error multi(capnp::List<polyquorum::Operation>::Reader list, Request& request);

  // lifecycle.cpp
  Error attach(polyquorum::Attach::Reader attach);
  Error open(polyquorum::Attach::Reader attach);
  void answerAttached(const Session& session);
  Error expire(capnp::List<std::uint64_t>::Reader list);
  Error reap(capnp::List<capnp::Text>::Reader paths);
  bool due(Slot slot, std::int64_t nowMs) const;
  void end(Session& session);

  // quota_rules.cpp
  Error quotaAllows(std::string_view path, std::int64_t bytes, std::int64_t count) const;
  void quotaCount(std::string_view path, std::int64_t bytes, std::int64_t count);
  void quotaCreated(std::string_view path);
  void quotaRemoved(std::string_view path);

  // query.cpp
  void answer(polyquorum::Query::Reader query, Asker& asker, polyquorum::Answer::Builder out,
              bool inside) const;
  std::vector<std::string_view> names(Slot parent, polyquorum::Query::Page::Reader page) const;
};

std::string_view view(capnp::Text::Reader text);
std::string_view view(capnp::Data::Reader data);

}  // namespace polyquorum::state
