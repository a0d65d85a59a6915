"""Access tokens as JSON Web Tokens (RFC 9068), signed with the key of the instance."""

import json
import secrets
import time
from typing import Any

from django.conf import settings
from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT


def json_web_token(request: Any, refresh_token: bool = False) -> str:
    """Return the access token of a grant."""
    now = int(time.time())
    user = getattr(request, "user", None)
    claims = {
        "sub": str(user.pk) if user else request.client_id,
        "client_id": request.client_id,
        "iat": now,
        "exp": now + 3600,
        "jti": secrets.token_hex(8),
    }
    token = JWT(header={"alg": "HS256", "typ": "at+jwt"}, claims=json.dumps(claims))
    token.make_signed_token(JWK.from_password(settings.SECRET_KEY))
    return str(token.serialize())


def opaque_token(request: Any) -> str:
    """Return the refresh token of a grant."""
    return secrets.token_urlsafe(24)
