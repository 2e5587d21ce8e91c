#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Does the layering test see what it should? A small house with one planted violation at a time."""
import shutil
import tempfile
import unittest
from pathlib import Path

from layering import check

HEAD = "// SPDX-License-Identifier: Apache-2.0\n// A file of the small house.\n"
TABLE = Path(__file__).parents[2] / "docs/architecture.md"


class Planted(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="polyquorum-layering-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.put("docs/architecture.md", TABLE.read_text())
        self.put("plugins/election/calm/README.md", "calm")
        self.put("plugins/election/calm/core.cpp", HEAD + '#include <map>\n#include "sdk/core.h"\n')
        self.put("plugins/api/rest/README.md", "rest")
        self.put("plugins/api/rest/plugin.cpp", HEAD + '#include "sdk/plugin.h"\n')
        self.put("state/tree.cpp", HEAD + '#include "state/tree.h"\n')
        self.put("kernel/node.cpp", HEAD + '#include "state/state.h"\n')

    def put(self, path, text):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def rules(self):
        return sorted((path, rule) for path, _, rule, _ in check(self.root))

    def plant(self, path, text, rule):
        self.put(path, HEAD + text)
        self.assertEqual(self.rules(), [(path, rule)])

    def test_the_clean_house_passes(self):
        self.assertEqual(self.rules(), [])

    def test_a_plugin_includes_neither_kernel_nor_state_nor_another_plugin(self):
        for included in ("kernel/node.h", "state/state.h", "plugins/election/calm/core.h"):
            self.plant("plugins/api/rest/plugin.cpp", f'#include "{included}"\n', "include")

    def test_the_kernel_includes_no_plugin_and_no_simulator(self):
        for included in ("plugins/api/quick/plugin.h", "simulator/world.h", "tests/desk/world.h"):
            self.plant("kernel/node.cpp", f'#include "{included}"\n', "include")

    def test_a_core_includes_only_plain_structs_and_the_standard_library(self):
        for included in ("<capnp/message.h>", "<kj/async.h>", '"sdk/environment.h"', '"state/state.h"',
                         '"plugins/api/rest/x.h"', "<unistd.h>"):
            self.plant("plugins/election/calm/core.cpp", f"#include {included}\n", "include")

    def test_libraries_stay_at_home(self):
        self.plant("kernel/node.cpp", "#include <boost/dll/shared_library.hpp>\n", "include")
        self.plant("kernel/node.cpp", "#include <yaml-cpp/yaml.h>\n", "include")

    def test_banned_calls_are_seen_in_code_but_not_in_comments_or_literals(self):
        for text, rule in (("auto a = std::chrono::steady_clock::now();", "clock"),
                           ("std::random_device d;", "chance"), ("int r = rand();", "chance"),
                           ("std::thread t;", "thread"), ("usleep(1);", "sleep"),
                           ("std::this_thread::sleep_for(x);", "sleep"),
                           ("int s = ::socket(AF_INET, 1, 0);", "socket"),
                           ('auto e = getenv("HOME");', "environment")):
            self.plant("kernel/node.cpp", text + "\n", rule)
        self.put("kernel/node.cpp", HEAD + '// not rand()\nauto a = "getenv(x)"; /* std::thread */\n')
        self.assertEqual(self.rules(), [])

    def test_a_comment_with_a_reason_excuses_one_line(self):
        excuse = "// layering: allow(thread): joined at once\n"
        self.put("kernel/node.cpp", HEAD + excuse + "std::thread t;\n")
        self.assertEqual(self.rules(), [])
        self.plant("kernel/node.cpp", excuse + "std::thread t;\nstd::thread u;\n", "thread")
        self.plant("kernel/node.cpp", "// layering: allow(thread):\nstd::thread t;\n", "thread")

    def test_tests_may_use_clocks_but_do_not_sleep(self):
        self.put("kernel/node-test.cpp", HEAD + "std::thread t; auto a = std::clock::now();\n")
        self.assertEqual(self.rules(), [])
        self.plant("kernel/node-test.cpp", "std::this_thread::sleep_for(x);\n", "sleep")

    def test_no_walk_in_the_order_of_a_hash_table(self):
        member = "std::unordered_map<int, std::string> byId;\n"
        self.put("state/tree.h", HEAD + member)
        self.plant("state/tree.cpp", "for (auto& one : byId) use(one);\n", "unordered")
        self.plant("state/tree.cpp", "for (auto& one : other->byId) use(one);\n", "unordered")
        self.plant("state/tree.cpp", "auto first = byId.begin();\n", "unordered")
        self.put("state/tree.cpp", HEAD + "auto one = byId.find(3);\n")
        self.assertEqual(self.rules(), [])

    def test_the_kernel_names_no_plugin(self):
        self.plant("kernel/node.cpp", 'if (use == "calm") {}\n', "plugin-name")
        self.plant("kernel/node.cpp", "calm_setup();\n", "plugin-name")
        self.put("kernel/node.cpp", HEAD + "// as calm does\n")
        self.assertEqual(self.rules(), [])

    def test_the_shape_of_files(self):
        self.plant("kernel/node.cpp", "x;\n" * 500, "length")
        self.plant("kernel/node.cpp", "x" * 111 + "\n", "width")
        self.put("kernel/node.cpp", "// A file without a licence.\n// Second.\n")
        self.assertEqual(self.rules(), [("kernel/node.cpp", "licence")])
        self.put("kernel/node.cpp", HEAD.splitlines()[0] + "\n#include <map>\n")
        self.assertEqual(self.rules(), [("kernel/node.cpp", "purpose")])

    def test_a_script_can_be_executed(self):
        script = "#!/usr/bin/env python3\n# SPDX-License-Identifier: Apache-2.0\n\"\"\"Says hello.\"\"\"\n"
        self.put("tests/hello.py", script)
        self.assertEqual(self.rules(), [("tests/hello.py", "mode")])
        (self.root / "tests/hello.py").chmod(0o755)
        self.assertEqual(self.rules(), [])

    def test_planted_bugs_are_those_of_the_table(self):
        self.put("simulator/mutants.cpp", HEAD + '      {"M1", "what", "source", {"quorum"}},\n')
        self.assertEqual(self.rules(), [("simulator/mutants.cpp", "mutant")])
        self.put("kernel/node.cpp", HEAD + '#include "sdk/mutant.h"\nif (MUTANT("M1")) x;\n')
        self.assertEqual(self.rules(), [])
        self.plant("kernel/node.cpp", 'if (MUTANT("M1") || MUTANT("M2")) x;\n', "mutant")

    def test_a_plugin_without_a_readme_is_named(self):
        (self.root / "plugins/api/rest/README.md").unlink()
        self.assertEqual(self.rules(), [("plugins/api/rest", "readme")])


if __name__ == "__main__":
    unittest.main()
