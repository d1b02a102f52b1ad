"""infra/grant-permissions.sh and infra/hooks/postprovision.sh against an Azure CLI that is as strict as Microsoft Graph."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = json.loads((ROOT / "infra/permissions.json").read_text())
GRAPH, PRINCIPAL, UNIT = (f"{digit * 8}-1111-4111-8111-{digit * 12}" for digit in "abc")
ROLE = LIST["role"]["id"]
REQUIRED = {name for name, feature in LIST["features"].items() if feature.get("required")}
DEFAULT = {name for name, feature in LIST["features"].items() if feature.get("default")}


def needed(*features, default=False):
    wanted = REQUIRED | set(features) | (DEFAULT if default else set())
    return {each["permission"] for each in LIST["permissions"] if wanted & set(each["features"])}


NAMES = {each["id"]: each["permission"] for each in LIST["permissions"] + LIST["never"]} | {"e1": "Sites.Read.All"}
BY_NAME = {name: id for id, name in NAMES.items()}


class Tenant:
    def __init__(self):
        roles = [{"id": id, "value": name, "isEnabled": True, "allowedMemberTypes": ["Application"]} for id, name in NAMES.items()]
        self.state = {
            "signed_in": True,
            "forbidden": [],
            "missing_for": 0,
            "granted_meanwhile": [],
            "principal": {"id": PRINCIPAL, "appId": "d" * 8, "displayName": "firstpass-identity"},
            "graph": {"id": GRAPH, "appId": LIST["resource"], "appRoles": roles},
            "assignments": [],
            "roles": [],
            "requests": [],
        }

    def grant(self, *names, resource=GRAPH):
        for name in names:
            row = {"id": f"{name}-{resource}", "principalId": PRINCIPAL, "resourceId": resource, "appRoleId": BY_NAME[name]}
            self.state["assignments"].append(row)

    def assign(self, scope, role=ROLE):
        row = {"id": f"{role}{scope}".replace("/", "-"), "roleDefinitionId": role, "directoryScopeId": scope}
        self.state["roles"].append({"principalId": PRINCIPAL, **row})

    @property
    def granted(self):
        return {NAMES[each["appRoleId"]] for each in self.state["assignments"] if each["resourceId"] == GRAPH}

    @property
    def writes(self):
        return [request for request in self.state["requests"] if request[0] != "get"]

    def run(self, *arguments, script="infra/grant-permissions.sh", pwsh=None, **environment):
        self.state["requests"] = []
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "state.json")
            file.write_text(json.dumps(self.state))
            # Nobody waits for a fake, and no other program of this machine decides.
            Path(folder, "sleep").write_text("#!/bin/sh\n")
            Path(folder, "sleep").chmod(0o755)
            # A pwsh that says how it was called; asked for the modules, it answers as the test wants.
            if pwsh is not None:
                Path(folder, "pwsh").write_text(f'#!/bin/sh\ncase $2 in -Command) exit {pwsh};; *) shift 2; echo "pwsh $*";; esac\n')
                Path(folder, "pwsh").chmod(0o755)
            path = os.pathsep.join([folder, str(ROOT / "tests/infra/bin"), "/usr/local/bin", "/usr/bin", "/bin"])
            result = subprocess.run(
                ["bash", ROOT / script, *arguments],
                env={"PATH": path, "HOME": folder, "FAKE_AZ": str(file), **environment},
                capture_output=True,
                text=True,
                timeout=60,
            )
            self.state = json.loads(file.read_text())
        return result


class Grant(unittest.TestCase):
    def setUp(self):
        self.tenant = Tenant()

    def run_ok(self, *arguments, **environment):
        result = self.tenant.run("--principal-id", PRINCIPAL, *arguments, **environment)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def refused(self, words, *arguments, code=1):
        result = self.tenant.run("--principal-id", PRINCIPAL, *arguments)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)
        return result

    def test_a_first_run_grants_what_the_features_need_and_a_second_nothing(self):
        for features in [[], ["sign-ins"], ["event-grid", "domains"], list(LIST["features"])]:
            with self.subTest(features=features):
                self.tenant = Tenant()
                arguments = ["--features", ", ".join(features)] if features else []
                first = self.run_ok(*arguments)
                self.assertEqual(self.tenant.granted, needed(*features, default=not features))
                self.assertIn("up to a day", first.stdout)
                second = self.run_ok(*arguments)
                self.assertEqual(self.tenant.writes, [])
                self.assertEqual(second.stdout.count("  has "), len(self.tenant.granted))
                self.assertEqual(second.stderr, "")
                self.assertEqual(self.tenant.state["roles"], [])

    def test_a_half_done_run_is_completed(self):
        self.tenant.grant("User.Read.All", "RoleManagement.Read.Directory")
        # The same id at another resource is another permission.
        self.tenant.grant("GroupMember.Read.All", resource="another")
        self.run_ok()
        self.assertEqual(self.tenant.granted, needed(default=True))
        self.assertEqual(len(self.tenant.writes), len(needed(default=True)) - 2)

    def test_what_somebody_else_grants_meanwhile_is_no_error(self):
        self.tenant.state["granted_meanwhile"] = [BY_NAME["User.Read.All"]]
        result = self.run_ok()
        self.assertRegex(result.stdout, r"has +User.Read.All\n")

    def test_a_dry_run_only_reads(self):
        for arguments in [[], ["--mode", "role"], ["--revoke"]]:
            self.tenant = Tenant()
            if "--revoke" in arguments:
                self.tenant.grant("User.Read.All")
                self.tenant.assign("/")
            result = self.run_ok("--dry-run", *arguments)
            self.assertEqual(self.tenant.writes, [])
            self.assertIn("would ", result.stdout)
            self.assertNotIn("granted", result.stdout)

    def test_an_identity_that_graph_does_not_know_yet_is_waited_for(self):
        self.tenant.state["missing_for"] = 3
        self.run_ok()
        self.assertEqual(self.tenant.granted, needed(default=True))
        self.tenant = Tenant()
        self.tenant.state["missing_for"] = 99
        self.refused(["no identity with the object id", "not its client id"])

    def test_the_role_takes_the_place_of_the_permission(self):
        for arguments, scope in [([], "/"), (["--administrative-unit", UNIT.upper()], f"/administrativeUnits/{UNIT}")]:
            self.tenant = Tenant()
            self.run_ok("--mode", "role", *arguments)
            self.assertEqual(self.tenant.granted, needed(default=True) - {LIST["role"]["instead_of"]})
            [role] = self.tenant.state["roles"]
            self.assertEqual((role["roleDefinitionId"], role["directoryScopeId"], role["principalId"]), (ROLE, scope, PRINCIPAL))
            self.run_ok("--mode", "role", *arguments)
            self.assertEqual(self.tenant.writes, [])

    def test_a_second_way_to_make_passes_is_refused(self):
        self.tenant.grant(LIST["role"]["instead_of"])
        self.refused([LIST["role"]["instead_of"], "would limit nothing", "--revoke --features passes"], "--mode", "role")
        self.assertEqual(self.tenant.writes, [])
        self.run_ok("--revoke", "--features", "passes")
        self.run_ok("--mode", "role", "--administrative-unit", UNIT)
        self.refused([f"/administrativeUnits/{UNIT}", "--revoke"], "--mode", "role")
        self.refused(["Authentication Administrator", "--revoke"])
        self.assertEqual(self.tenant.writes, [])
        # Another role of the identity is not ours to judge.
        self.tenant = Tenant()
        self.tenant.assign("/", role="another")
        self.run_ok()

    def test_revoke_takes_back_what_it_names_and_nothing_else(self):
        everything = [each["permission"] for each in LIST["permissions"]]
        self.tenant.grant(*everything, "Mail.Send", "Sites.Read.All")
        self.tenant.grant("User.Read.All", resource="another")
        self.tenant.assign("/")
        self.tenant.assign("/", role="another")
        self.run_ok("--revoke", "--features", "event-grid,doctor")
        gone = {"Group.Read.All", "Policy.Read.ConditionalAccess"}
        self.assertEqual(self.tenant.granted, {*everything, "Mail.Send", "Sites.Read.All"} - gone)
        self.assertEqual(len(self.tenant.state["roles"]), 2)
        result = self.run_ok("--revoke")
        self.assertEqual(self.tenant.granted, {"Sites.Read.All"})
        self.assertEqual([each["resourceId"] for each in self.tenant.state["assignments"]], [GRAPH, "another"])
        self.assertEqual([each["roleDefinitionId"] for each in self.tenant.state["roles"]], ["another"])
        self.assertIn("stop the function app", result.stdout)
        self.run_ok("--revoke")
        self.assertEqual(self.tenant.writes, [])

    def test_what_is_too_much_is_said(self):
        self.tenant.grant("Mail.Send", "Sites.Read.All", "Domain.Read.All")
        result = self.run_ok()
        for words in ["Mail.Send: it permits every mailbox", "Sites.Read.All: these features", "Domain.Read.All", "appRoleAssignments/Mail.Send-"]:
            self.assertIn(words, result.stderr)
        self.assertEqual(result.stderr.count("Too much"), 3)
        self.assertIn("Mail.Send", self.tenant.granted)

    def test_wrong_use_is_explained(self):
        for words, arguments in [
            (["unknown features: sign-in", "sign-ins: JOINER_CHECK"], ["--features", "sign-in"]),
            (["--mode is permissions or role"], ["--mode", "both"]),
            (["needs --mode role"], ["--administrative-unit", UNIT]),
            (["--administrative-unit is not"], ["--mode", "role", "--administrative-unit", "Joiners"]),
            (["--principal-id is not an object id"], ["--principal-id", "firstpass"]),
            (["its value is missing"], ["--features"]),
            (["--force is unknown"], ["--force"]),
        ]:
            self.refused(words, *arguments, code=2)
            self.assertEqual(self.tenant.state["requests"], [])

    def test_what_is_not_permitted_is_said_with_the_role_that_permits_it(self):
        self.tenant.state["forbidden"] = ["post .*appRoleAssignments"]
        self.refused(["Granting User.Read.All", "Privileged Role Administrator", "run this again", "Authorization_RequestDenied"])
        self.tenant.state["forbidden"] = ["get .*roleAssignments$"]
        result = self.run_ok()
        self.assertIn("Not checked: whether the identity holds the role", result.stderr)
        self.refused(["Reading the identity's roles"], "--mode", "role")
        self.tenant.state["signed_in"] = False
        self.refused(["az login"])

    def test_a_cloud_without_a_permission_is_refused_before_anything_is_granted(self):
        for change in [{"value": "Other.Read.All"}, {"isEnabled": False}, {"allowedMemberTypes": ["User"]}]:
            self.tenant = Tenant()
            next(each for each in self.tenant.state["graph"]["appRoles"] if each["value"] == "User.Read.All").update(change)
            self.refused(["does not have these application permissions", "User.Read.All"])
            self.assertEqual(self.tenant.writes, [])


class Postprovision(unittest.TestCase):
    CLIENT = "dddddddd-1111-4111-8111-dddddddddddd"
    VALUES = {"FIRSTPASS_PRINCIPAL_ID": PRINCIPAL, "FIRSTPASS_CLIENT_ID": CLIENT, "FIRSTPASS_MAIL_FROM": "welcome@contoso.com"}
    MAIL = f"Grant-MailSend.ps1 -PrincipalId {PRINCIPAL} -ClientId {CLIENT} -MailFrom welcome@contoso.com"

    def run_hook(self, tenant, pwsh=0, **values):
        return tenant.run(script="infra/hooks/postprovision.sh", pwsh=pwsh, **{**self.VALUES, **values})

    def test_it_grants_what_the_environment_says(self):
        tenant = Tenant()
        values = {"FIRSTPASS_FEATURES": "methods,sign-ins", "FIRSTPASS_MODE": "role", "FIRSTPASS_ADMINISTRATIVE_UNIT": UNIT}
        result = self.run_hook(tenant, **values)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(tenant.granted, needed("methods", "sign-ins") - {LIST["role"]["instead_of"]})
        self.assertEqual(tenant.state["roles"][0]["directoryScopeId"], f"/administrativeUnits/{UNIT}")
        self.assertRegex(result.stdout, f"pwsh .*{self.MAIL}")
        tenant = Tenant()
        self.run_hook(tenant)
        self.assertEqual(tenant.granted, needed(default=True))

    def test_it_says_what_is_to_do_where_nobody_can_sign_in_to_exchange(self):
        for pwsh, more in [(None, {}), (1, {}), (0, {"CI": "true"}), (0, {"FIRSTPASS_MAIL_FROM": ""})]:
            result = self.run_hook(Tenant(), pwsh, **more)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("TO DO", result.stdout)
            self.assertEqual(result.stdout.count("Grant-MailSend.ps1"), 1, "printed, not run")

    def test_it_stops_azd_if_nothing_is_granted(self):
        tenant = Tenant()
        tenant.state["forbidden"] = ["post"]
        result = self.run_hook(tenant)
        self.assertEqual(result.returncode, 1)
        for words in ["azd stops here", f"infra/grant-permissions.sh --principal-id {PRINCIPAL}", self.MAIL, "FIRSTPASS_PERMISSIONS granted"]:
            self.assertIn(words, result.stderr)
        self.assertNotIn("pwsh", result.stdout)

    def test_it_grants_nothing_if_somebody_else_does_and_says_what_they_run_for_the_features_of_today(self):
        tenant = Tenant()
        features = "passes,guard,methods,doctor"
        result = self.run_hook(tenant, FIRSTPASS_PERMISSIONS="granted", FIRSTPASS_FEATURES=features)
        self.assertEqual((result.returncode, tenant.state["requests"]), (0, []))
        command = f"infra/grant-permissions.sh --principal-id {PRINCIPAL} --mode permissions --features {features}\n"
        for words in ["not touched", command, self.MAIL]:
            self.assertIn(words, result.stdout)

    def test_the_template_comes_first(self):
        result = self.run_hook(Tenant(), FIRSTPASS_CLIENT_ID="")
        self.assertEqual(result.returncode, 1)
        self.assertIn("FIRSTPASS_CLIENT_ID: is an output of infra/main.bicep", result.stderr)


if __name__ == "__main__":
    unittest.main()
