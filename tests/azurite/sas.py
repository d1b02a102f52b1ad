"""Prints an account SAS for the blob and queue services: sas.py ACCOUNT KEY

The string to sign is defined at https://learn.microsoft.com/rest/api/storageservices/create-account-sas
for version 2020-12-06 and later.
"""

import base64
import hashlib
import hmac
import sys
from urllib.parse import urlencode

account, key = sys.argv[1:]
version = "2021-12-02"
permissions, services, resources = "rwdlacup", "bq", "sco"
expiry, protocol = "2099-01-01T00:00:00Z", "https,http"
fields = [account, permissions, services, resources, "", expiry, "", protocol, version, "", ""]
signature = hmac.new(base64.b64decode(key), "\n".join(fields).encode(), hashlib.sha256).digest()
print(
    urlencode(
        {
            "sv": version,
            "ss": services,
            "srt": resources,
            "sp": permissions,
            "se": expiry,
            "spr": protocol,
            "sig": base64.b64encode(signature).decode(),
        }
    )
)
