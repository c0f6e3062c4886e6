"""psql as a person uses it: completion with the tab key, Ctrl-C on a running statement, \\watch.

usage: terminal.py HOST PORT. Says "all is well" at the end; the same holds of a PostgreSQL.
"""

import os
import pty
import re
import select
import sys
import time

PATIENCE_SECONDS = 60
TAB, CTRL_C, CTRL_U = "\t", "\x03", "\x15"


class Psql:
    """psql on a terminal of its own."""

    def __init__(self, host, port):
        self.said = ""
        child, self.terminal = pty.fork()
        if child == 0:
            environment = {**os.environ, "TERM": "dumb", "PAGER": "cat", "INPUTRC": "/dev/null"}
            arguments = ["psql", "-X", "-h", host, "-p", port, "-U", "highwater", "highwater"]
            os.execvpe("psql", arguments, environment)

    def type(self, keys):
        os.write(self.terminal, keys.encode())

    def wait_for(self, pattern):
        """Reads until the pattern is there; what was said up to its end is then forgotten."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := re.search(pattern, self.said)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.terminal], [], [], left)[0]:
                sys.exit(f"psql does not say {pattern!r}, but {self.said!r}")
            self.said += os.read(self.terminal, 4096).decode()
        self.said = self.said[found.end() :]
        return found


def tab_completes(psql):
    for typed, completed in [
        ("select * from custo", "select \\* from customers "),
        ("select * from customers where bal", "where balance "),
        ("\\dm tot", "dm totals "),
        ("drop materialized view tot", "view totals "),
        ("insert into ord", "into orders "),
        ("set standard_conf", "set standard_conforming_strings "),
    ]:
        psql.type(typed + TAB)
        psql.wait_for(completed)
        psql.type(CTRL_U)


def ctrl_c_stops_a_statement(psql):
    psql.type("select 'it', 'runs'; select pg_sleep(1000);\n")
    psql.wait_for(r"it +\| runs")
    time.sleep(0.2)
    psql.type(CTRL_C)
    psql.wait_for("canceling statement due to user request")
    psql.type("select count(*) from generate_series(1, 100000) a, generate_series(1, 10000000) b where a.a + b.b = 7;\n")
    time.sleep(0.5)
    psql.type(CTRL_C)
    psql.wait_for("canceling statement due to user request")


def watch_shows_it_again_and_again(psql):
    psql.type("select 6 * 7 as answer \\watch 0.1\n")
    for _ in range(3):
        psql.wait_for(r"every 0\.1s")
        psql.wait_for(r"\b42\b")
    psql.type(CTRL_C)
    psql.type("select 'still', 'there';\n")
    psql.wait_for(r"still +\| there")


def main():
    psql = Psql(*sys.argv[1:3])
    psql.wait_for("highwater=.? ")
    tab_completes(psql)
    ctrl_c_stops_a_statement(psql)
    watch_shows_it_again_and_again(psql)
    psql.type("\\q\n")
    print("all is well")


main()
