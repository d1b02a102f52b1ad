"""infra/permissions.json has the ids of Microsoft Graph, and the pages say what it says."""

import json
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = json.loads((ROOT / "infra/permissions.json").read_text())

# Microsoft Graph's application permissions (appRoles), from microsoftgraph/microsoft-graph-devx-content@6cbd6bb,
# permissions/new/provisioningInfo.json, and merill/microsoft-info@43b8a5d, _info/GraphAppRoles.csv.
IDS = """
User.Read.All                                  df021288-bdef-4463-88db-98f22de89214
GroupMember.Read.All                           98830695-27a2-44f7-8c18-0c3ebc9698f6
RoleManagement.Read.Directory                  483bed4a-2ad3-4361-a73b-c83ccdbdc53c
Policy.Read.AuthenticationMethod               8e3bc81b-d2f3-4b7b-838c-32c88218d2f0
UserAuthMethod-TAP.ReadWrite.All               627169a8-8c15-451c-861a-5b80e383de5c
UserAuthenticationMethod.Read.All              38d9df27-64da-44fd-b7c5-a6fbac20248f
AuditLog.Read.All                              b0afded3-3588-46d8-8b3d-9842eff778da
PrivilegedEligibilitySchedule.Read.AzureADGroup edb419d6-7edc-42a3-9345-509bfdf5d87c
Domain.Read.All                                dbb9058a-0e50-45d7-ae91-66909b5d4664
User-LifeCycleInfo.Read.All                    8556a004-db57-4d7a-8b82-97a13428e96f
Member.Read.Hidden                             658aa5d8-239f-45c4-aa12-864f4fc7e490
Group.Read.All                                 5b567255-7703-4780-807c-7be8301ae99b
Policy.Read.ConditionalAccess                  37730810-e9ba-4e46-b07e-8ca78d182097
Mail.Send                                      b633e1c5-b582-4048-a93e-9f11b44c7e96
"""


def rows(page, heading=None):
    """The cells of the rows of a page that begin with a name in backticks."""
    text = (ROOT / page).read_text()
    if heading:
        text = text.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")]


class Permissions(unittest.TestCase):
    def test_ids_are_those_of_microsoft_graph(self):
        ids = dict(line.split() for line in IDS.strip().splitlines())
        listed = {each["permission"]: each["id"] for each in LIST["permissions"] + LIST["never"]}
        self.assertEqual(listed, ids)
        self.assertEqual(LIST["resource"], "00000003-0000-0000-c000-000000000000")
        role = LIST["role"]
        self.assertEqual((role["role"], role["id"]), ("Authentication Administrator", "c4e39bd9-1100-46d3-8c65-fb160da0071f"))
        self.assertIn(role["instead_of"], listed)

    def test_every_feature_is_described_and_needs_something(self):
        used = {feature for each in LIST["permissions"] for feature in each["features"]}
        self.assertEqual(used, set(LIST["features"]))
        for each in LIST["permissions"]:
            self.assertTrue(each["features"] and each["reason"] and each["least"], each["permission"])
        for name, feature in LIST["features"].items():
            self.assertTrue(feature["about"], name)

    def test_the_template_names_the_features_as_the_list_does(self):
        template = ROOT / "infra/app.bicep"
        if not template.exists():
            self.skipTest("there is no infra/app.bicep: the features that it grants for were not compared")
        text = template.read_text()
        union = re.search(r"\nvar features = union\((.*?)\n\)", text, re.S).group(1)
        computed = {name for each in re.findall(r"\[('[^\]]*)\]", union) for name in re.findall(r"'([^']+)'", each)}
        offered = re.search(r"@description\('[^']*scripts grant for[^:']*: ([^.;']*)[.;]", text).group(1)
        self.assertLessEqual(computed, set(LIST["features"]))
        self.assertEqual(computed | set(offered.split(", ")), set(LIST["features"]))
        certain = {name for name, feature in LIST["features"].items() if feature.get("required") or feature.get("default")}
        self.assertLessEqual(certain, computed, "with --features only the named ones and the required ones are granted")

    def test_what_nobody_may_grant_is_in_no_feature(self):
        self.assertFalse({each["id"] for each in LIST["never"]} & {each["id"] for each in LIST["permissions"]})
        writes = [each["permission"] for each in LIST["permissions"] if "Write" in each["permission"]]
        self.assertEqual(writes, ["UserAuthMethod-TAP.ReadWrite.All"], "the app changes passes and nothing else")

    def test_the_permissions_page_has_them(self):
        expected = [
            [f"`{each['permission']}`", f"`{each['id']}`", ", ".join(each["features"]), each["reason"]]
            for each in LIST["permissions"]
        ]
        self.assertEqual(rows("docs/PERMISSIONS.md"), expected)
        page = (ROOT / "docs/PERMISSIONS.md").read_text()
        for name, feature in LIST["features"].items():
            when = "always" if feature.get("required") else "by default" if feature.get("default") else "if you name it"
            self.assertIn(f"\n| {name} | {when} | {feature['about']} |\n", page)
        self.assertIn(f"`{LIST['role']['id']}`", page)

    def test_the_security_review_has_them(self):
        expected = [[f"`{each['permission']}`", each["reason"], each["least"]] for each in LIST["permissions"]]
        self.assertEqual(rows("docs/SECURITY-REVIEW.md", "## Permissions"), expected)

    def test_the_migration_page_has_every_parameter_of_both(self):
        page = (ROOT / "docs/MIGRATE.md").read_text()
        logic_app = ["GroupID", "TAPlifetimeInMinutes", "FromMailboxAddress"]
        runbook = ["UserName", "LifetimeInMinutes", "OneTimeUseOnly", "NotifyUser", "EmailFrom"]
        runbook += [f"ServiceDesk{each}" for each in ("DisplayName", "Email", "Phone", "PortalUrl", "TicketUrl")] + ["CallerName"]
        runbook += [f"Branding{each}" for each in ("HeaderImageUrl", "FooterImageUrl", "FooterLink", "AccentColor", "TextColor")]
        first = [row.split("|")[1].strip() for row in page.splitlines() if row.startswith("|")]
        for name in logic_app + runbook:
            self.assertIn(f"`{name}`", " ".join(first), name)

    def test_links_of_the_pages_exist(self):
        for page in ("docs/PERMISSIONS.md", "docs/SECURITY-REVIEW.md", "docs/MIGRATE.md"):
            for link in re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / page).read_text()):
                if "://" not in link:
                    self.assertTrue((ROOT / page).parent.joinpath(link).exists(), f"{page}: {link}")


if __name__ == "__main__":
    unittest.main()
