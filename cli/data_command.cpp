// SPDX-License-Identifier: Apache-2.0
// `polyquorum ls|get|set|create|rm|stat|watch`: their command lines. What they do is
// data_verbs.cpp.
#include <CLI/CLI.hpp>
#include <memory>
#include "cli/commands.h"
#include "cli/data_verbs.h"

namespace polyquorum::cli {
namespace {

using Run = Exit (*)(const DataArguments&, Format);
using Arguments = std::shared_ptr<DataArguments>;

CLI::App* addVerb(CLI::App& app, Context& context, const Arguments& arguments, const char* name,
                  const char* meaning, Run run) {
  auto* verb = app.add_subcommand(name, meaning);
  verb->add_option("path", arguments->path, "A path, e.g. /app/leader")->required();
  verb->add_option("--endpoint", arguments->endpoints, "host:port,host:port ... to connect to")
      ->envname("POLYQUORUM_ENDPOINTS");
  verb->add_option("--auth", arguments->auth, "SCHEME:CREDENTIALS, e.g. digest:user:password")
      ->envname("POLYQUORUM_AUTH");
  verb->callback([arguments, run, &context]() {
    context.verb = [arguments, run, &context]() { return run(*arguments, context.format); };
  });
  return verb;
}

CLI::Option* addDataOption(CLI::App* verb, const Arguments& arguments) {
  return verb->add_option_function<std::string>(
      "data",
      [arguments](const std::string& text) {
        arguments->data = text;
        arguments->hasData = true;
      },
      "The data; - reads it from stdin");
}

}  // namespace

void addData(CLI::App& app, Context& context) {
  auto arguments = std::make_shared<DataArguments>();
  auto version = [&](CLI::App* verb) {
    verb->add_option("--version", arguments->version, "Only if the node has this version");
  };
  auto* listing = addVerb(app, context, arguments, "ls", "List the children of a node", listNode);
  listing->add_flag("-r,--recursive", arguments->recursive, "The whole tree below");
  auto* getting = addVerb(app, context, arguments, "get", "Print the data of a node", getNode);
  getting->add_flag("--stat", arguments->withStat, "Its stat, too, on stderr");
  auto* setting = addVerb(app, context, arguments, "set", "Change the data of a node", setNode);
  addDataOption(setting, arguments)->required();
  version(setting);
  auto* creating = addVerb(app, context, arguments, "create", "Create a node", createNode);
  addDataOption(creating, arguments);
  creating->add_flag("-s,--sequential", arguments->sequential, "Append a number that grows");
  creating->add_flag("-e,--ephemeral", arguments->ephemeral, "Keep it until Ctrl-C");
  creating->add_flag("-c,--container", arguments->container, "Gone when its last child is gone");
  creating->add_option("--ttl", arguments->ttl, "Gone after this time without a change");
  auto* removing = addVerb(app, context, arguments, "rm", "Remove a node", removeNode);
  removing->add_flag("-r,--recursive", arguments->recursive, "With all that is below");
  removing->add_flag("--yes", arguments->yes, "Do not ask");
  version(removing);
  addVerb(app, context, arguments, "stat", "Print the stat of a node", statNode);
  auto* watching =
      addVerb(app, context, arguments, "watch", "Print changes as they happen", watchNode);
  watching->add_flag("-r,--recursive", arguments->recursive, "Of the whole tree below, too");
  watching->add_option("--count", arguments->count, "End after so many events");
}

}  // namespace polyquorum::cli
