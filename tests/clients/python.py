"""What openapi-python-client made of the description, as package `generated`, at work.

    python3 python.py URL
"""

import sys

from generated import AuthenticatedClient, Client
from generated.api.account import organization
from generated.api.login import login
from generated.api.stub import order
from generated.models import Credentials, Detail, Order

url = sys.argv[1]
client = Client(base_url=url)
jweir = {"username": "jweir@projectthanos.com"}
answer = login.sync(client=client, body=Credentials(**jweir, password="thanosrocks"))
assert answer.auth_token == "a0f17278bed479ee719ea890b8caf0329e1f3e5b", answer
assert str(answer.retailer_uuid) == "1d2e146c-a3df-4073-89c6-9ffc3061319c", answer
assert answer.supplier_uuid == "", answer
refused = login.sync_detailed(client=client, body=Credentials(**jweir, password="wrong"))
assert refused.status_code == 401, refused
assert refused.parsed == Detail("Unable to log in with provided credentials."), refused

with_token = AuthenticatedClient(base_url=url, token=answer.auth_token, prefix="Token")
assert organization.sync(client=with_token).name == "projectthanos"
# The pending answer is used: the client sends no header fields of the stub by itself.
assert order.sync(client=client, body=Order(code=503)).code == 503
assert organization.sync_detailed(client=with_token).status_code == 503
forced = organization.sync_detailed(client=with_token, prefer="code=401")
assert forced.status_code == 401, forced
