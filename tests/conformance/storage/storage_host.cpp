// SPDX-License-Identifier: Apache-2.0
// Translation between plain structs and the Storage interface.
#include "tests/conformance/storage/storage_host.h"
#include <kj/debug.h>
#include <algorithm>

namespace polyquorum::conformance {
namespace {

std::string bytesOf(capnp::Data::Reader data) {
  return std::string(reinterpret_cast<const char*>(data.begin()), data.size());
}

capnp::Data::Reader dataOf(const char* bytes, std::size_t size) {
  return capnp::Data::Reader(reinterpret_cast<const capnp::byte*>(bytes), size);
}

Ranges rangesOf(capnp::List<storage::Range>::Reader in) {
  Ranges out;
  for (auto range : in) out.push_back({range.getFirst(), range.getLast()});
  return out;
}

void fillSegment(polyquorum::Segment::Builder out, const Link& link) {
  out.setId(link.id);
  out.setBase(link.base);
  out.setConsensus("zab");
  out.setElection("raft");
  auto members = out.initMembers(1);
  members[0].setId(1);
}

}  // namespace

void fill(capnp::List<storage::Write>::Builder out, const std::vector<WriteOf>& writes) {
  for (unsigned i = 0; i < writes.size(); i++) {
    auto& in = writes[i];
    auto write = out[i];
    write.setSegment(in.segment);
    if (in.base.index != 0) {
      write.initBase().setStamp(in.base.stamp);
      write.getBase().setIndex(in.base.index);
    }
    write.setTrim(in.trim);
    write.setTruncateFrom(in.truncateFrom);
    auto entries = write.initEntries(in.entries.size());
    for (unsigned n = 0; n < in.entries.size(); n++) {
      entries[n].setIndex(in.entries[n].index);
      entries[n].setStamp(in.entries[n].stamp);
      auto& body = in.entries[n].body;
      if (!body.empty()) entries[n].setBody(dataOf(body.data(), body.size()));
    }
    auto facts = write.initFacts(in.facts.size());
    for (unsigned n = 0; n < in.facts.size(); n++) {
      facts[n].setName(in.facts[n].first);
      facts[n].setValue(in.facts[n].second);
    }
    if (!in.next.empty()) fillSegment(write.initNext(), in.next[0]);
  }
}

void StorageHost::load(const char* file, const std::map<std::string, std::string>& options) {
  auto library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  KJ_REQUIRE(library != nullptr, dlerror());
  auto symbol = static_cast<const sdk::Descriptor*>(dlsym(library, "polyquorumPlugin"));
  KJ_REQUIRE(symbol != nullptr && symbol->magic == sdk::PLUGIN_MAGIC, file);
  factory = symbol->open(environment);
  auto request = factory.createRequest();
  auto list = request.initOptions(options.size());
  unsigned n = 0;
  for (auto& option : options) {
    list[n].setName(option.first);
    list[n++].setValue(option.second);
  }
  instance = request.send().wait(scope).getInstance().castAs<storage::Storage>();
}

OpenOf StorageHost::open() {
  auto answer = instance.openRequest().send().wait(scope);
  OpenOf out;
  for (auto segment : answer.getChain()) out.chain.push_back({segment.getId(), segment.getBase()});
  for (auto log : answer.getLogs()) {
    auto& to = out.logs[log.getSegment()];
    for (auto run : log.getRuns()) {
      to.runs.push_back({run.getFirst(), run.getCount(), run.getStamp()});
    }
    for (auto fact : log.getFacts()) to.facts[fact.getName().cStr()] = fact.getValue();
    to.damaged = rangesOf(log.getDamaged());
  }
  out.hasSnapshot = answer.hasSnapshot();
  auto at = answer.getSnapshot().getAt();
  out.snapshot = {at.getStamp(), at.getIndex()};
  return out;
}

kj::Promise<void> StorageHost::start(const std::vector<WriteOf>& writes) {
  auto request = instance.writeRequest();
  fill(request.initWrites(writes.size()), writes);
  return request.send().ignoreResult();
}

ReadOf StorageHost::read(std::uint32_t segment, std::uint64_t first, std::uint64_t last,
                         std::uint32_t bytesMax) {
  auto request = instance.readRequest();
  request.setSegment(segment);
  request.setFirst(first);
  request.setLast(last);
  request.setBytesMax(bytesMax);
  auto answer = request.send().wait(scope);
  ReadOf out;
  out.first = answer.getFirst();
  for (auto entry : answer.getEntries()) {
    out.entries.push_back({entry.getIndex(), entry.getStamp(), bytesOf(entry.getBody())});
  }
  out.damaged = rangesOf(answer.getDamaged());
  return out;
}

storage::Sink::Client StorageHost::stageOnly(At at, std::uint64_t bytes,
                                             const std::vector<Link>& chain) {
  auto request = instance.stageRequest();
  auto header = request.initHeader();
  header.initAt().setStamp(at.stamp);
  header.getAt().setIndex(at.index);
  header.setBytes(bytes);
  header.setDigest(at.index * 7);
  auto list = header.initChain(chain.size());
  for (unsigned i = 0; i < chain.size(); i++) fillSegment(list[i], chain[i]);
  return request.send().wait(scope).getImage();
}

void StorageHost::stage(At at, const std::string& image, const std::vector<Link>& chain,
                        std::size_t chunk) {
  auto sink = stageOnly(at, image.size(), chain);
  for (std::size_t from = 0; from < image.size(); from += chunk) {
    auto request = sink.writeRequest();
    request.setChunk(dataOf(image.data() + from, std::min(chunk, image.size() - from)));
    request.send().wait(scope);
  }
  sink.doneRequest().send().wait(scope);
}

std::string StorageHost::image() {
  auto loaded = instance.loadRequest().send().wait(scope);
  auto source = loaded.getImage();
  std::string out;
  while (true) {
    auto request = source.readRequest();
    request.setBytesMax(777);
    auto answer = request.send().wait(scope);
    if (answer.getChunk().size() == 0) break;
    out += bytesOf(answer.getChunk());
  }
  KJ_REQUIRE(out.size() == loaded.getHeader().getBytes());
  return out;
}

}  // namespace polyquorum::conformance
