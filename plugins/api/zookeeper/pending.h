// SPDX-License-Identifier: Apache-2.0
// What a connection must remember of a request until it is answered, in the order of arrival.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace polyquorum::zookeeper {

struct Pending {
  std::uint64_t token = 0;
  std::int64_t sinceNs = 0;        ///< loop's clock at arrival
  std::int32_t xid = 0;
  std::int32_t type = 0;
  std::int32_t error = 0;          ///< local: the reply's code. Else of the refused part: the code
                                   ///< to give instead of the tree's.
  std::int32_t refusedPart = -1;   ///< multi: which part that is
  bool local = false;              ///< Not asked of the desk; answered when its turn comes.
  bool closes = false;             ///< The connection is closed after this reply.
  bool null = false;               ///< sync: the path was null, and goes back as null.
  std::string text;                ///< sync: the path. multi: a byte for each type. whoAmI: body.
};

/// First in, first out. Holds no memory when it has been emptied and was large.
class PendingQueue {
public:
  bool empty() const { return head == items.size(); }
  std::size_t size() const { return items.size() - head; }
  Pending& front() { return items[head]; }
  Pending& back() { return items.back(); }
  void push(Pending&& pending) { items.push_back(std::move(pending)); }
  Pending pop() {
    Pending out = std::move(items[head++]);
    if (head == items.size()) {
      if (items.capacity() > KEPT_MAX) std::vector<Pending>().swap(items);
      items.clear();
      head = 0;
    } else if (head >= KEPT_MAX && head * 2 >= items.size()) {
      items.erase(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(head));
      head = 0;
    }
    return out;
  }
  void release() {
    std::vector<Pending>().swap(items);
    head = 0;
  }

private:
  static constexpr std::size_t KEPT_MAX = 64;
  std::vector<Pending> items;
  std::size_t head = 0;
};

}  // namespace polyquorum::zookeeper
