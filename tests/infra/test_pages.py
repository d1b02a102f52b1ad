"""What the pages tell an admin to type does what they say."""

import json
import os
import re
import shutil
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.name: path.read_text() for path in sorted(ROOT.glob("docs/*.md"))}


def commands(text):
    """The commands of a page; continued lines are one."""
    return re.findall(r"^ *\$ (.*)$", text.replace("\\\n", " "), re.MULTILINE)


def chapter(page, heading):
    return PAGES[page].partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


class Pages(unittest.TestCase):
    def test_no_chapter_is_empty(self):
        """A heading is followed by words, or by a deeper heading."""
        for name, text in PAGES.items():
            last, words, fence = None, True, False
            for line in [*text.splitlines(), "# end"]:
                fence ^= line.strip().startswith("```")
                heading = None if fence else re.match(r"(#+) ", line)
                if not heading:
                    words |= bool(line.strip())
                    continue
                self.assertFalse(last and not words and len(heading[1]) <= last[0], f"{name}: {last}")
                last, words = (len(heading[1]), line), False

    def test_removing_pauses_and_takes_passes_back_for_good(self):
        """--all-open renews by default, and only lists without --yes (src/cli/revoke.rs). Without PAUSED, a sweep mails again."""
        typed = commands(PAGES["REMOVE.md"])
        (revoke,) = (each for each in typed if "firstpass revoke" in each)
        self.assertLess({"--all-open", "--hold", "--yes"}, set(revoke.split()))
        self.assertTrue(any("PAUSED=true" in each for each in typed[: typed.index(revoke)]), "not paused before")

    def test_migrating_serves_nobody_whom_the_old_program_served(self):
        """Whoever starts between the first sweep, which only reports, and the first real one is late for firstpass."""
        order = chapter("MIGRATE.md", "The order")
        self.assertIn("REPORT_ONLY=false", order.partition("LATE_DAYS=0")[2])

    def test_folders_are_there_before_something_is_downloaded_into_them(self):
        """az: `incorrect usage: destination must be an existing directory`"""
        for name, text in PAGES.items():
            made = set()
            for each in commands(text):
                made |= set(re.findall(r"^mkdir -p (\S+)", each))
                self.assertLessEqual(set(re.findall(r"download-batch .*--destination (\S+)", each)), made, name)

    def test_git_ignores_what_the_pages_write(self):
        """Settings of the app and an admin's values: not to be committed, and not in the way of the next version."""
        written = {file for text in PAGES.values() for each in commands(text) for file in re.findall(r"(?: >|^cp \S+) ([\w./-]+\.\w+)$", each)}
        self.assertLessEqual({"app-settings.json", "dist/app-settings.json", "infra/my.bicepparam"}, written)
        ignored = subprocess.run(["git", "check-ignore", *written], cwd=ROOT, capture_output=True, text=True, check=False).stdout
        self.assertEqual(written - set(ignored.split()), set())

    def test_whoever_saves_the_settings_is_told_to_delete_them(self):
        for name, text in PAGES.items():
            if re.search(r"appsettings list .*> \S+\.json", text):
                self.assertRegex(text, r"[Dd]elete (?:it afterwards|the file|`dist/app-settings.json`)", name)

    def test_no_secret_on_a_command_line(self):
        for name, text in PAGES.items():
            self.assertEqual(re.findall(r"--(?:secret|password) <.*", text), [], name)

    def test_what_upgrade_verifies_is_what_is_deployed(self):
        """The hook prepackage builds where it can, and `azd deploy` runs it again, unless it gets a package."""
        typed = commands(chapter("OPERATE.md", "Upgrade"))
        (fetch,) = (each for each in typed if "prepackage" in each)
        self.assertTrue(fetch.startswith("FIRSTPASS_RELEASES="), "it builds where Rust is installed")
        (deploy,) = (each for each in typed if each.startswith("azd deploy"))
        # azd takes --from-package with the name of a service only.
        self.assertEqual(deploy, "azd deploy firstpass --from-package dist/firstpass.zip")

    def test_the_registration_for_create_tap_lets_people_get_a_token(self):
        bodies = re.findall(r"--body '(\{.*?\})'$", chapter("DEPLOY.md", "Options"), re.MULTILINE | re.DOTALL)
        first, second = (json.loads(body.replace("'$SCOPE'", "id-of-the-scope"))["api"] for body in bodies)
        self.assertEqual(first["requestedAccessTokenVersion"], 2)
        (scope,) = first["oauth2PermissionScopes"]
        (application,) = second["preAuthorizedApplications"]
        self.assertEqual(application["delegatedPermissionIds"], [scope["id"]])
        self.assertTrue(scope["isEnabled"])

    @unittest.skipUnless(shutil.which("pwsh"), "pwsh is not installed: the emergency command was NOT run")
    def test_the_emergency_command_finds_working_passes_in_every_zone(self):
        """docs/COMMANDS.md, Without the app's permissions. `endsAt` is in UTC, as src/cli/status/entry.rs writes it."""
        condition = re.search(r"Where-Object \{ (\$_\.passId .*?) \} \|", PAGES["COMMANDS.md"])[1]
        program = (
            "$users = -5, 5 | ForEach-Object { $ends = [DateTime]::UtcNow.AddHours($_).ToString('yyyy-MM-ddTHH:mm:ssZ');"
            """'{"passId": "' + $_ + '", "endsAt": "' + $ends + '"}' | ConvertFrom-Json };"""
            f"($users | Where-Object {{ {condition} }}).passId"
        )
        for zone in ("America/New_York", "UTC", "Asia/Tokyo"):
            with self.subTest(zone):
                command = ["pwsh", "-NoProfile", "-NonInteractive", "-Command", program]
                found = subprocess.run(command, env=os.environ | {"TZ": zone}, capture_output=True, text=True, check=True)
                self.assertEqual(found.stdout.split(), ["5"], "the pass that ends in five hours, and not the one that ended")


if __name__ == "__main__":
    unittest.main()
