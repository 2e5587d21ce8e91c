// SPDX-License-Identifier: Apache-2.0
// What the file storage says of itself, its options, and its factory.
#include "plugins/storage/file/file_storage.h"
#include "sdk/direct.h"
#include "sdk/options.h"
#include "sdk/plugin.h"

namespace polyquorum::file {

class FilePlugin final : public plugin::Plugin::Server {
public:
  explicit FilePlugin(sdk::Environment& environment) : environment(environment) {}

  kj::Promise<void> describe(DescribeContext context) override {
    auto description = context.getResults().initDescription();
    sdk::describe(description, "file", capnp::Schema::from<storage::Storage>(), {
        {"walSize", "64MiB", "64KiB .. 4GiB",
         "Size of one file of the log; the first ones are smaller, so that a small cluster stays "
         "small."},
        {"flushDelay", "0ms", "0ms .. 100ms",
         "How long a flush waits for more writes to share it; 0 flushes at once."},
        {"snapshotsKept", "3", "1 .. 1000",
         "So many of the newest snapshots are kept, with the log they need."},
        {"purgeInterval", "0ms", "0ms .. 365d",
         "How often older snapshots are deleted; 0 deletes them right after each new one."},
    });
    auto traits = description.initTraits().initStorage();
    traits.setDurable(true);
    traits.setDetectsDamage(true);
    return kj::READY_NOW;
  }

  kj::Promise<void> create(CreateContext context) override {
    sdk::Options options(context.getParams().getOptions());
    Settings settings;
    settings.wal.walBytes = options.bytes("walSize", 64 << 20, 64 << 10, std::uint64_t(4) << 30);
    settings.wal.flushDelay =
        options.duration("flushDelay", 0 * kj::SECONDS, 0 * kj::SECONDS, 100 * kj::MILLISECONDS);
    settings.snapshotsKept =
        static_cast<std::uint32_t>(options.number("snapshotsKept", 3, 1, 1000));
    settings.purgeInterval =
        options.duration("purgeInterval", 0 * kj::SECONDS, 0 * kj::SECONDS, 365 * kj::DAYS);
    options.finish();
    context.getResults().setInstance(
        sdk::direct<storage::Storage>(kj::heap<FileStorage>(environment, settings)));
    return kj::READY_NOW;
  }

private:
  sdk::Environment& environment;
};

}  // namespace polyquorum::file

POLYQUORUM_PLUGIN(polyquorum::storage::Storage, "file", polyquorum::file::FilePlugin);
