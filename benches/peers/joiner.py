"""Microsoft's Graph SDK for Python does a joiner's main steps on the sandbox, for each user id on stdin.

Prints the processor time in milliseconds. SANDBOX_URL is the sandbox's URL.
"""

import asyncio
import json
import os
import sys
import time
import urllib.request

from azure.core.credentials import AccessToken
from kiota_authentication_azure.azure_identity_authentication_provider import AzureIdentityAuthenticationProvider
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.body_type import BodyType
from msgraph.generated.models.email_address import EmailAddress
from msgraph.generated.models.importance import Importance
from msgraph.generated.models.item_body import ItemBody
from msgraph.generated.models.message import Message
from msgraph.generated.models.recipient import Recipient
from msgraph.generated.models.temporary_access_pass_authentication_method import (
    TemporaryAccessPassAuthenticationMethod as Pass,
)
from msgraph.generated.users.item.send_mail.send_mail_post_request_body import SendMailPostRequestBody
from msgraph.generated.users.item.user_item_request_builder import UserItemRequestBuilder
from kiota_abstractions.base_request_configuration import RequestConfiguration

SANDBOX = os.environ["SANDBOX_URL"]
SENDER = "welcome@contoso.example"
PROPERTIES = ["id", "displayName", "givenName", "otherMails", "employeeHireDate", "usageLocation", "preferredLanguage"]


class Credential:
    def get_token(self, *scopes, **_):
        url = f"{SANDBOX}/msi/token?api-version=2019-08-01&resource=https://graph.microsoft.com"
        request = urllib.request.Request(url, headers={"X-IDENTITY-HEADER": "sandbox"})
        with urllib.request.urlopen(request) as answer:
            token = json.load(answer)
        return AccessToken(token["access_token"], int(token["expires_on"]))


def client():
    provider = AzureIdentityAuthenticationProvider(
        Credential(), scopes=["https://graph.microsoft.com/.default"], allowed_hosts=["127.0.0.1"]
    )
    adapter = GraphRequestAdapter(provider)
    adapter.base_url = f"{SANDBOX}/v1.0"
    return GraphServiceClient(request_adapter=adapter)


def recipient(address):
    return Recipient(email_address=EmailAddress(address=address))


async def serve(graph, user_id):
    select = UserItemRequestBuilder.UserItemRequestBuilderGetQueryParameters(select=PROPERTIES)
    user = await graph.users.by_user_id(user_id).get(RequestConfiguration(query_parameters=select))
    manager = await graph.users.by_user_id(user_id).manager.get()
    passes = graph.users.by_user_id(user_id).authentication.temporary_access_pass_methods
    made = await passes.post(Pass(is_usable_once=True, lifetime_in_minutes=480))
    message = Message(
        subject="Your first sign-in",
        importance=Importance.High,
        body=ItemBody(
            content_type=BodyType.Html,
            content=f"<p>Hello {user.given_name}</p><p>{made.temporary_access_pass}</p>",
        ),
        to_recipients=[recipient(user.other_mails[0])],
        cc_recipients=[recipient(manager.mail)],
    )
    body = SendMailPostRequestBody(message=message, save_to_sent_items=False)
    await graph.users.by_user_id(SENDER).send_mail.post(body)


async def main():
    users = sys.stdin.read().split()
    graph = client()
    # The first one pays for the token and the connection.
    await serve(graph, users[0])
    began = time.process_time()
    for user in users[1:]:
        await serve(graph, user)
    print((time.process_time() - began) * 1000)


asyncio.run(main())
