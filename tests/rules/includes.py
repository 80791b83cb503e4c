#!/usr/bin/env python3
"""Who may include and name what (DESIGN section 5). Prints every violation; exit 1 when there is one.

    tests/rules/includes.py [ROOT]      check a source tree
    tests/rules/includes.py --self-test check that each rule can fail
"""
import os, re, subprocess, sys, tempfile

# core/<part> -> the parts it uses directly; what those use is allowed too. core/CMakeLists.txt may link no more than this.
CORE = {
    "base": [], "pg": ["base"], "crypto": ["base"], "compress": ["base"],
    "format": ["base", "crypto", "compress", "pg"],
    "config": ["base"], "metrics": ["base"], "recovery": ["base", "pg"],
    "io": ["base"], "store": ["base", "io"], "protocol": ["base"], "net": ["base", "metrics"],
    "client": ["base", "format", "protocol", "net", "store"],
}
PROGRAMS = ["agent", "receiver", "restore"]
# What a receiver must not know: it holds no keys and knows no engine.
FORBIDDEN = {"receiver": ["core/pg"]}

# A library's headers -> the places that may include them. Places are path prefixes; everybody else goes through these.
LIBRARIES = [
    (r"toml\+\+/", ["core/config/"]),
    (r"spdlog/", ["core/config/log."]),
    (r"date/", ["core/config/cron.", "core/base/time."]),
    (r"CLI/", ["core/config/cli.", "agent/main", "receiver/main", "restore/main"]),
    (r"prometheus/", ["core/metrics/"]),
    (r"sodium", ["core/crypto/"]),
    (r"openssl/", ["core/crypto/", "core/net/"]),
    (r"zstd", ["core/compress/"]),
    (r"zlib", ["core/net/gzip."]),
    (r"xxhash", ["core/io/"]),
    (r"rocksdb/", ["receiver/catalog/"]),
    (r"libpq", ["agent/postgres/", "restore/postgres/"]),
    (r"google/protobuf/", ["core/protocol/"]),
    (r"boost/", ["core/net/", "core/client/"] + [p + "/" for p in PROGRAMS]),
]

# Names that only shells use: decisions are given time, bytes and randomness.
SHELLS = [
    ("sockets", r"asio::(ip::(tcp|udp)::(socket|acceptor|resolver)|local::stream_protocol|posix::\w+|ssl::stream)",
     ["core/net/", "agent/postgres/", "agent/uplink/", "agent/program/", "receiver/session/", "receiver/main/", "restore/main/", "restore/drill/pushgateway", "restore/postgres/"]),
    ("timers", r"asio::(steady_timer|system_timer|high_resolution_timer|basic_waitable_timer|deadline_timer)",
     ["core/net/", "core/client/", "agent/uplink/", "agent/program/", "agent/snapshot/", "receiver/session/", "receiver/ingest/", "receiver/main/",
      "restore/main/", "restore/postgres/"]),
    ("threads", r"std::(j?thread\b(?!::id)|async\()|pthread_create|asio::thread_pool",
     ["core/net/", "core/io/journal_writer", "core/io/worker", "core/client/", "agent/postgres/", "agent/snapshot/", "agent/stream/", "agent/program/",
      "receiver/ingest/", "receiver/catalog/", "receiver/session/", "receiver/main/", "restore/fetch/", "restore/apply/", "restore/drill/guard", "restore/main/"]),
    ("randomness", r"\b(randombytes\w*|getrandom|getentropy|RAND_bytes|std::random_device)\b", ["core/crypto/random."]),
]

SOURCE = (".h", ".cc")
# Written apart, so that this file does not break its own rule: paths of the machine where somebody develops.
MACHINE_PATHS = re.compile(("(?<![\\w./-])(/wo" + "rk/|/tmp/w" + "t/)").encode())
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def closure(part):
    seen, todo = set(), [part]
    while todo:
        p = todo.pop()
        if p not in seen:
            seen.add(p)
            todo += CORE[p]
    return seen


def files_of(root):
    """What git tracks or would track; without git every file outside build/."""
    git = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True)
    if git.returncode == 0:
        return [f for f in git.stdout.splitlines() if os.path.isfile(os.path.join(root, f))]
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [d for d in folders if d not in ("build", ".git")]
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names]
    return found


def without_comments(text):
    """Comments become blanks; line numbers stay."""
    return re.sub(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/',
                  lambda m: m.group(0) if m.group(0)[0] == '"' else re.sub(r"[^\n]", " ", m.group(0)), text, flags=re.S)


def placed(path, places):
    return any(path.startswith(p) for p in places)


def check_source(root, path, problem):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as f:
        text = without_comments(f.read())
    top, part = path.split("/")[0], path.split("/")[1]
    if path.endswith(".h") and "#pragma once" not in text:
        problem(path, 1, "header without #pragma once")
    if top == "core" and part not in CORE:
        problem(path, 1, f"core/{part} is not in the table of parts (tests/rules/includes.py)")
        return
    for match in INCLUDE.finditer(text):
        line, kind, name = text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2)
        own = name.split("/")[0] in ["core", "tests"] + PROGRAMS
        if kind == '"' and not own:
            problem(path, line, f'"{name}": includes begin at the repository root; libraries take <>')
        if own:
            target_top, target_part = name.split("/")[0], name.split("/")[1]
            if kind == "<":
                problem(path, line, f"<{name}>: our own headers take quotes")
            if not os.path.exists(os.path.join(root, name)) and not name.endswith(".pb.h"):
                problem(path, line, f"{name} does not exist")
            if target_top == "tests":
                problem(path, line, f"{name}: the product does not include tests")
            elif top == "core" and target_top != "core":
                problem(path, line, f"{name}: core knows no program")
            elif top == "core" and target_part not in closure(part):
                problem(path, line, f"{name}: core/{part} may use {', '.join(sorted(closure(part) - {part})) or 'nothing'}")
            elif top in PROGRAMS and target_top in PROGRAMS and target_top != top:
                problem(path, line, f"{name}: {top} and {target_top} never use each other")
            elif placed(name, [p + "/" for p in FORBIDDEN.get(top, [])]):
                problem(path, line, f"{name}: {top} must not know it")
            continue
        for library, places in LIBRARIES:
            if re.match(library, name) and not placed(path, places):
                problem(path, line, f"<{name}>: only {', '.join(places)} may include it")
    for what, pattern, places in SHELLS:
        for match in re.finditer(pattern, text):
            if not placed(path, places):
                problem(path, text.count("\n", 0, match.start()) + 1, f"{match.group(0)}: only shells name {what} ({', '.join(places)})")


def check_links(root, problem):
    """core/CMakeLists.txt links no more than the table allows."""
    path = "core/CMakeLists.txt"
    if not os.path.exists(os.path.join(root, path)):
        return
    text = re.sub(r"#[^\n]*", "", open(os.path.join(root, path)).read())
    for match in re.finditer(r"stele_library\(stele_(\w+)\b([^()]*(?:\([^()]*\)[^()]*)*)\)", text):
        part = match.group(1)
        for used in re.findall(r"\bstele_(\w+)", match.group(2)):
            if part in CORE and used not in closure(part):
                problem(path, text.count("\n", 0, match.start()) + 1, f"stele_{part} links stele_{used}, which the table does not allow")


def check_tree(root):
    problems = []
    problem = lambda path, line, text: problems.append(f"{path}:{line}: {text}")
    files = files_of(root)
    for path in sorted(files):
        with open(os.path.join(root, path), "rb") as f:
            content = f.read()
        for match in MACHINE_PATHS.finditer(content):
            problem(path, content.count(b"\n", 0, match.start()) + 1, f"a path of one machine: {match.group(0).decode()}")
        if path.endswith(SOURCE) and path.split("/")[0] in ["core"] + PROGRAMS and path.count("/") >= 2:
            check_source(root, path, problem)
    check_links(root, problem)
    return problems, len(files)


def self_test():
    cases = [
        ("core/pg/a.cc", '#include "core/crypto/b.h"', "core/pg may use base"),
        ("core/base/a.cc", '#include "agent/log/b.h"', "core knows no program"),
        ("agent/log/a.cc", '#include "receiver/ingest/b.h"', "never use each other"),
        ("receiver/ingest/a.cc", '#include "core/pg/b.h"', "must not know it"),
        ("agent/log/a.cc", '#include "core/io/missing.h"', "does not exist"),
        ("agent/log/a.cc", '#include "b.h"', "begin at the repository root"),
        ("core/base/a.cc", '#include "tests/support/b.h"', "does not include tests"),
        ("agent/log/a.cc", "#include <rocksdb/db.h>", "only receiver/catalog/"),
        ("core/format/a.cc", "boost::asio::steady_timer t;", "only shells name timers"),
        ("core/format/a.cc", "std::thread t;", "only shells name threads"),
        ("core/format/a.cc", "randombytes_buf(p, 1);", "only shells name randomness"),
        ("core/format/a.cc", "asio::ip::tcp::socket s;", "only shells name sockets"),
        ("core/new/a.cc", "int x;", "not in the table of parts"),
        ("core/base/a.h", "int x;", "without #pragma once"),
        ("core/CMakeLists.txt", "stele_library(stele_pg DIR x DEPS stele_base stele_net)", "links stele_net"),
        ("config/a.toml", "directory = '" + "/wo" + "rk/main'", "a path of one machine"),
        ("core/base/a.cc", "// std::thread and #include \"receiver/x/y.h\" in a comment", None),
        ("core/format/a.cc", "std::thread::id owner;", None),
    ]
    failed = 0
    for path, text, expected in cases:
        with tempfile.TemporaryDirectory() as root:
            for other in ["core/crypto/b.h", "core/pg/b.h", "agent/log/b.h", "receiver/ingest/b.h", "tests/support/b.h"]:
                os.makedirs(os.path.dirname(os.path.join(root, other)), exist_ok=True)
                open(os.path.join(root, other), "w").write("#pragma once\n")
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            open(os.path.join(root, path), "w").write(text + "\n")
            problems, _ = check_tree(root)
            good = problems == [] if expected is None else len(problems) == 1 and expected in problems[0]
            if not good:
                failed += 1
                print(f"self-test {path}: {text!r}: expected {expected!r}, got {problems}")
    print(f"{len(cases)} cases, {failed} failed")
    return failed


def main():
    if sys.argv[1:] == ["--self-test"]:
        return 1 if self_test() else 0
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    problems, count = check_tree(root)
    print("\n".join(problems))
    print(f"{count} files checked, {len(problems)} violations")
    return 1 if problems or count == 0 else 0


sys.exit(main())
