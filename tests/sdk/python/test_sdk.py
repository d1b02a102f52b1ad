"""Microsoft's Graph SDK for Python makes every call that firstpass makes to the sandbox.

Expected values come from `/sandbox/state`. SANDBOX_URL is the sandbox's URL.
"""

import json
import logging
import os
import time
import unittest
import urllib.request
import uuid
from datetime import datetime, timedelta, timezone

from azure.core.credentials import AccessToken
from kiota_abstractions.api_error import APIError
from kiota_abstractions.authentication import AnonymousAuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.headers_collection import HeadersCollection
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from kiota_serialization_json.json_parse_node import JsonParseNode
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.device import Device
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.group import Group
from msgraph.generated.models.directory_role import DirectoryRole
from msgraph.generated.models.importance import Importance
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.message import Message
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.generated.models.org_contact import OrgContact
from msgraph.generated.models.authentication_method_state import AuthenticationMethodState
from msgraph.generated.models.recipient import Recipient
from msgraph.generated.models.temporary_access_pass_authentication_method import (
    TemporaryAccessPassAuthenticationMethod as Pass,
)
from msgraph.generated.models.temporary_access_pass_authentication_method_configuration import (
    TemporaryAccessPassAuthenticationMethodConfiguration as PassPolicy,
)
from msgraph.generated.models.user import User
from msgraph.generated.users.item.send_mail.send_mail_post_request_body import SendMailPostRequestBody
from msgraph_core import PageIterator
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem

SANDBOX = os.environ["SANDBOX_URL"]
ROOT = f"{SANDBOX}/v1.0"
SENDER = "welcome@contoso.example"
UNKNOWN_USER = str(uuid.UUID(int=0))


def sandbox(method, path, body=None):
    """Calls a control endpoint of the sandbox."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{SANDBOX}{path}", data=data, method=method)
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def object_bytes(value):
    """Works around the SDK, which drops bodies that are objects (microsoft/kiota-python issue 737)."""
    return json.dumps(value).encode() if isinstance(value, dict) else json_bytes(value)


json_bytes = JsonParseNode._get_bytes_value
JsonParseNode._get_bytes_value = staticmethod(object_bytes)


def parse_time(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


class Credential:
    """Gets a token from the sandbox's identity endpoint, as a managed identity does in App Service."""

    def get_token(self, *scopes, **_):
        resource = scopes[0].removesuffix("/.default")
        request = urllib.request.Request(
            f"{SANDBOX}/msi/token?api-version=2019-08-01&resource={resource}",
            headers={"X-IDENTITY-HEADER": "sandbox"},
        )
        with urllib.request.urlopen(request) as answer:
            token = json.load(answer)
        return AccessToken(token["access_token"], int(token["expires_on"]))


def client():
    # The SDK accepts plain http on loopback, and sends the token only to the hosts in this list.
    provider = AzureIdentityAuthenticationProvider(
        Credential(), scopes=["https://graph.microsoft.com/.default"], allowed_hosts=["127.0.0.1"]
    )
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = ROOT
    return GraphServiceClient(request_adapter=adapter)


def options(builder, headers=(), **query):
    """The configuration of a GET."""
    kinds = [kind for name, kind in vars(builder).items() if name.endswith("GetQueryParameters")]
    config = RequestConfiguration(query_parameters=kinds[0](**query) if query else None)
    config.headers = HeadersCollection()
    for name, value in headers:
        config.headers.add(name, value)
    return config


ADVANCED = ("ConsistencyLevel", "eventual")


def setUpModule():
    # All users have replicated by then.
    sandbox("POST", "/sandbox/clock", {"advance_seconds": 60})


class Sdk(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        # The SDK also logs the errors that it raises.
        logging.disable()
        self.state = sandbox("GET", "/sandbox/state")
        self.users = {user["id"]: user for user in self.state["users"]}
        self.graph = client()

    def tearDown(self):
        sandbox("DELETE", "/sandbox/faults")

    def joiner_without_pass(self):
        """An enabled member with a hire date, a manager who is a user, and no pass."""
        held = {held["userId"] for held in self.state["passes"]}
        return next(
            user
            for user in self.users.values()
            if user["employeeHireDate"] and user["manager"] in self.users and user["id"] not in held
            and user["userType"] == "Member" and user["accountEnabled"]
        )

    async def failure(self, call):
        with self.assertRaises(ODataError) as caught:
            await call
        return caught.exception

    async def all_pages(self, first, headers=()):
        found = []
        pages = PageIterator(first, self.graph.request_adapter)
        for name, value in headers:
            pages.headers.add(name, value)
        await pages.iterate(lambda item: found.append(item) or True)
        return found

    # Users.

    async def test_a_user_is_read_with_select(self):
        joiner = self.joiner_without_pass()
        item = self.graph.users.by_user_id(joiner["id"])
        select = ["id", "userPrincipalName", "employeeHireDate", "otherMails", "accountEnabled", "usageLocation",
                  "onPremisesExtensionAttributes"]
        user = await item.get(options(type(item), select=select))
        self.assertIsInstance(user, User)
        self.assertEqual(user.id, joiner["id"])
        self.assertEqual(user.employee_hire_date, parse_time(joiner["employeeHireDate"]))
        self.assertEqual(user.other_mails, joiner["otherMails"])
        self.assertIs(user.account_enabled, True)
        self.assertEqual(user.usage_location, joiner["usageLocation"])
        self.assertIsNone(user.on_premises_extension_attributes.extension_attribute1)
        self.assertIsNone(user.display_name, "only selected properties are returned")

    async def test_a_user_is_read_with_default_properties(self):
        joiner = self.joiner_without_pass()
        user = await self.graph.users.by_user_id(joiner["userPrincipalName"]).get()
        self.assertEqual((user.id, user.display_name), (joiner["id"], joiner["displayName"]))
        self.assertIsNone(user.employee_hire_date, "a hire date must be selected")

    async def test_a_manager_is_a_user_a_contact_or_missing(self):
        kinds = {}
        for user in self.users.values():
            who = user["manager"]
            kinds["none" if who is None else "user" if who in self.users else "contact"] = user
        manager = await self.graph.users.by_user_id(kinds["user"]["id"]).manager.get()
        self.assertIsInstance(manager, User)
        self.assertEqual(manager.id, kinds["user"]["manager"])
        manager = await self.graph.users.by_user_id(kinds["contact"]["id"]).manager.get()
        self.assertIsInstance(manager, OrgContact)
        self.assertTrue(manager.mail)
        error = await self.failure(self.graph.users.by_user_id(kinds["none"]["id"]).manager.get())
        self.assertEqual(error.response_status_code, 404)
        self.assertEqual(error.error.code, "Request_ResourceNotFound")
        self.assertIn("'manager'", error.error.message)

    async def test_joiners_are_filtered_by_hire_date_over_many_pages(self):
        now = parse_time(self.state["now"])
        begin, end = now - timedelta(days=1), now + timedelta(days=8)
        stamp = "%Y-%m-%dT%H:%M:%SZ"
        begin, end = (parse_time(at.strftime(stamp)) for at in (begin, end))
        expected = {
            user["id"]
            for user in self.users.values()
            if user["employeeHireDate"] and begin <= parse_time(user["employeeHireDate"]) <= end
        }
        where = f"employeeHireDate ge {begin.strftime(stamp)} and employeeHireDate le {end.strftime(stamp)}"
        asked = options(type(self.graph.users), [ADVANCED], filter=where, count=True, top=7,
                        select=["id", "employeeHireDate"])
        first = await self.graph.users.get(asked)
        self.assertEqual(first.odata_count, len(expected))
        self.assertEqual(len(first.value), 7)
        self.assertTrue(first.odata_next_link.startswith(ROOT), first.odata_next_link)
        found = await self.all_pages(first, [ADVANCED])
        self.assertEqual({user.id for user in found}, expected)
        self.assertEqual(len(found), len(expected))
        for user in found:
            self.assertEqual(user.employee_hire_date, parse_time(self.users[user.id]["employeeHireDate"]))

    async def test_a_hire_date_filter_needs_the_consistency_level_header(self):
        asked = options(type(self.graph.users), filter="employeeHireDate ge 2026-01-01T00:00:00Z", count=True)
        error = await self.failure(self.graph.users.get(asked))
        self.assertEqual((error.response_status_code, error.error.code), (400, "Request_UnsupportedQuery"))

    # Groups.

    async def test_members_of_a_group_are_read_over_many_pages(self):
        group = max(self.state["groups"], key=lambda group: len(group["members"]))
        members = self.graph.groups.by_group_id(group["id"]).members
        first = await members.get(options(type(members), top=5, select=["id", "displayName", "userPrincipalName"]))
        self.assertEqual(len(first.value), 5)
        found = await self.all_pages(first)
        self.assertEqual([member.id for member in found], sorted(group["members"]))
        for member in found:
            self.assertIsInstance(member, (User, Group, Device))
            if isinstance(member, User):
                self.assertEqual(member.user_principal_name, self.users[member.id]["userPrincipalName"])

    async def test_groups_and_roles_of_a_user_are_read(self):
        select = ["id", "displayName", "isAssignableToRole", "roleTemplateId"]
        kinds = set()
        for admin in (user for user in self.users.values() if user["privileged"]):
            builder = self.graph.users.by_user_id(admin["id"]).transitive_member_of
            for item in (await builder.get(options(type(builder), select=select, top=999))).value:
                kinds.add(type(item))
                self.assertTrue(item.display_name)
                if isinstance(item, DirectoryRole):
                    uuid.UUID(item.role_template_id)
                if isinstance(item, Group) and item.display_name == "Tier 1 operators":
                    self.assertIs(item.is_assignable_to_role, True)
        self.assertEqual(kinds, {Group, DirectoryRole})

    async def test_active_and_eligible_roles_are_read(self):
        directory = self.graph.role_management.directory
        seen = 0
        for admin in (user for user in self.users.values() if user["privileged"]):
            where = f"principalId eq '{admin['id']}'"
            for builder in (directory.role_assignments, directory.role_eligibility_schedule_instances):
                for role in (await builder.get(options(type(builder), filter=where))).value:
                    self.assertEqual(role.principal_id, admin["id"])
                    self.assertEqual(role.directory_scope_id, "/")
                    uuid.UUID(role.role_definition_id)
                    seen += 1
        self.assertGreater(seen, 0)

    # Passes.

    async def test_the_policy_is_read(self):
        methods = self.graph.policies.authentication_methods_policy.authentication_method_configurations
        policy = await methods.by_authentication_method_configuration_id("temporaryAccessPass").get()
        self.assertIsInstance(policy, PassPolicy)
        self.assertEqual((policy.id, policy.state), ("TemporaryAccessPass", AuthenticationMethodState.Enabled))
        self.assertLessEqual(policy.minimum_lifetime_in_minutes, policy.maximum_lifetime_in_minutes)
        self.assertIsInstance(policy.is_usable_once, bool)
        self.assertEqual((policy.include_targets[0].id, policy.exclude_targets), ("all_users", []))

    async def test_a_pass_is_created_listed_and_deleted(self):
        joiner = self.joiner_without_pass()
        passes = self.graph.users.by_user_id(joiner["id"]).authentication.temporary_access_pass_methods
        self.assertEqual((await passes.get()).value, [])
        opens = (parse_time(self.state["now"]) + timedelta(days=1)).replace(microsecond=0)
        made = await passes.post(Pass(is_usable_once=True, lifetime_in_minutes=60, start_date_time=opens))
        self.assertIsInstance(made, Pass)
        self.assertEqual((made.start_date_time, made.lifetime_in_minutes), (opens, 60))
        self.assertEqual((made.is_usable_once, made.is_usable), (True, False))
        self.assertEqual(made.method_usability_reason, "NotYetValid")
        self.assertEqual(made.created_date_time.tzinfo, timezone.utc)
        self.assertTrue(made.temporary_access_pass)
        kept = next(held for held in sandbox("GET", "/sandbox/state")["passes"] if held["userId"] == joiner["id"])
        self.assertEqual(kept["temporaryAccessPass"], made.temporary_access_pass)

        listed = (await passes.get()).value
        one = passes.by_temporary_access_pass_authentication_method_id(made.id)
        for seen in [*listed, await one.get()]:
            self.assertEqual((seen.id, seen.temporary_access_pass), (made.id, None), "only the POST returns the code")
        second = await passes.post(Pass(is_usable_once=True, lifetime_in_minutes=60))
        self.assertEqual([held.id for held in (await passes.get()).value], [second.id], "POST replaces")
        error = await self.failure(one.get())
        self.assertEqual(error.response_status_code, 404)
        await passes.by_temporary_access_pass_authentication_method_id(second.id).delete()
        self.assertEqual((await passes.get()).value, [])

    async def test_a_lifetime_outside_the_policy_is_rejected(self):
        passes = self.graph.users.by_user_id(self.joiner_without_pass()["id"]).authentication.temporary_access_pass_methods
        error = await self.failure(passes.post(Pass(lifetime_in_minutes=43200)))
        self.assertEqual((error.response_status_code, error.error.code), (400, "badRequest"))
        self.assertIn("Invalid LifetimeInMinutes", error.error.message)

    # Mail.

    async def test_a_mail_is_sent(self):
        def recipient(address):
            return Recipient(email_address=EmailAddress(address=address))

        message = Message(
            subject=f"From Python {uuid.uuid4()}",
            importance=Importance.High,
            body=ItemBody(content_type=BodyType.Html, content="<p>Hello</p>"),
            to_recipients=[recipient("emma@mail.example")],
            cc_recipients=[recipient("alex.morgan@contoso.example")],
        )
        body = SendMailPostRequestBody(message=message, save_to_sent_items=False)
        self.assertIsNone(await self.graph.users.by_user_id(SENDER).send_mail.post(body))
        mail = sandbox("GET", "/sandbox/state")["mails"][-1]
        self.assertEqual((mail["subject"], mail["from"]), (message.subject, SENDER))
        self.assertEqual(mail["toRecipients"][0]["emailAddress"]["address"], "emma@mail.example")
        self.assertIs(mail["saveToSentItems"], False)

        message.to_recipients = [recipient("not an address")]
        error = await self.failure(self.graph.users.by_user_id(SENDER).send_mail.post(body))
        self.assertEqual((error.response_status_code, error.error.code), (400, "ErrorInvalidRecipients"))

    # Batches.

    async def test_a_batch_is_answered(self):
        joiner = self.joiner_without_pass()
        user = self.graph.users.by_user_id(joiner["id"])
        passes = user.authentication.temporary_access_pass_methods
        reads = {
            "user": user.to_get_request_information(options(type(user), select=["id", "employeeHireDate"])),
            "passes": passes.to_get_request_information(),
            "unknown": self.graph.users.by_user_id(UNKNOWN_USER).to_get_request_information(),
            "create": passes.to_post_request_information(Pass(is_usable_once=True, lifetime_in_minutes=60)),
        }
        items = {name: BatchRequestItem(information, id=name) for name, information in reads.items()}
        answers = await self.graph.batch.post(BatchRequestContent(items))
        statuses = {name: answers.get_response_by_id(name).status for name in items}
        self.assertEqual(statuses, {"user": 200, "passes": 200, "unknown": 404, "create": 201})
        found = answers.get_response_by_id("user", User)
        self.assertEqual((found.id, found.employee_hire_date), (joiner["id"], parse_time(joiner["employeeHireDate"])))
        made = answers.get_response_by_id("create", Pass)
        self.assertTrue(made.temporary_access_pass)
        await passes.by_temporary_access_pass_authentication_method_id(made.id).delete()

    async def test_a_batch_with_absolute_urls_is_rejected(self):
        item = BatchRequestItem(self.graph.users.by_user_id(UNKNOWN_USER).to_get_request_information(), id="a")
        item.url = f"{ROOT}{item.url}"
        with self.assertRaises(APIError) as caught:
            await self.graph.batch.post(BatchRequestContent({"a": item}))
        self.assertEqual(caught.exception.response_status_code, 400)

    # Errors.

    async def test_an_error_has_its_code_and_request_ids(self):
        item = self.graph.users.by_user_id(UNKNOWN_USER)
        client_request_id = str(uuid.uuid4())
        error = await self.failure(item.get(options(type(item), [("client-request-id", client_request_id)])))
        self.assertEqual((error.response_status_code, error.error.code), (404, "Request_ResourceNotFound"))
        self.assertIn(UNKNOWN_USER, error.error.message)
        inner = error.error.inner_error
        self.assertEqual(inner.client_request_id, client_request_id)
        self.assertEqual(error.response_headers["request-id"], inner.request_id)
        self.assertEqual(error.response_headers["client-request-id"], client_request_id)
        self.assertEqual(str(uuid.UUID(inner.request_id)), inner.request_id)
        date = inner.date.replace(tzinfo=timezone.utc)
        self.assertLess(abs(date - parse_time(sandbox("GET", "/sandbox/clock")["now"])), timedelta(minutes=1))

    async def test_a_request_without_a_token_is_rejected(self):
        adapter = GraphRequestAdapter(AnonymousAuthenticationProvider())
        adapter.base_url = ROOT
        error = await self.failure(GraphServiceClient(request_adapter=adapter).users.get())
        self.assertEqual((error.response_status_code, error.error.code), (401, "InvalidAuthenticationToken"))

    async def test_a_request_without_the_permission_is_rejected(self):
        joiner = self.joiner_without_pass()["id"]
        passes = self.graph.users.by_user_id(joiner).authentication.temporary_access_pass_methods
        granted = "/sandbox/permissions/UserAuthMethod-TAP.ReadWrite.All"
        sandbox("DELETE", granted)
        try:
            error = await self.failure(passes.post(Pass(is_usable_once=True)))
        finally:
            sandbox("PUT", granted)
        self.assertEqual((error.response_status_code, error.error.code), (403, "accessDenied"))
        self.assertEqual((await passes.get()).value, [])

    # Throttling.

    async def test_the_sdk_retries_a_throttled_call(self):
        joiner = self.joiner_without_pass()
        fault = {"method": "GET", "path_contains": joiner["id"], "times": 2,
                 "kind": {"throttle": {"retry_after": "1"}}}
        sandbox("POST", "/sandbox/faults", fault)
        before = len(self.state["requests"])
        started = time.monotonic()
        user = await self.graph.users.by_user_id(joiner["id"]).get()
        self.assertEqual(user.id, joiner["id"])
        self.assertGreaterEqual(time.monotonic() - started, 2, "the SDK waits for Retry-After twice")
        seen = [request["status"] for request in sandbox("GET", "/sandbox/state")["requests"][before:]]
        self.assertEqual(seen, [429, 429, 200])

    async def test_a_call_that_stays_throttled_fails(self):
        joiner = self.joiner_without_pass()
        fault = {"path_contains": joiner["id"], "times": 99, "kind": {"throttle": {"retry_after": "1"}}}
        sandbox("POST", "/sandbox/faults", fault)
        error = await self.failure(self.graph.users.by_user_id(joiner["id"]).get())
        self.assertEqual((error.response_status_code, error.error.code), (429, "TooManyRequests"))
        self.assertEqual(error.response_headers["retry-after"], "1")


if __name__ == "__main__":
    unittest.main(verbosity=2)
