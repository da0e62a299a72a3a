"""Is the server alive, and what does it hold?"""

from __future__ import annotations

from fastapi import APIRouter

from visage import __version__
from visage.api.deps import PrincipalDep, ServiceDep
from visage.api.envelope import Envelope
from visage.api.openapi import refusals
from visage.api.v1.schemas.health import Health, HealthStatus

router = APIRouter(tags=["server"])


@router.get("/health", operation_id="health", responses=refusals())
async def health(service: ServiceDep, principal: PrincipalDep) -> Envelope[Health] | Envelope[HealthStatus]:
    """The server's state; 503 until models and bank are loaded. Where a key is needed, and none is sent, only that it
    is well."""
    recognizer = service.recognizer
    if principal is None:
        return Envelope(data=HealthStatus())
    return Envelope(
        data=Health(
            version=__version__,
            model=recognizer.model,
            persons=recognizer.bank.person_count,
            embeddings=recognizer.bank.embedding_count,
            uptime_s=round(service.uptime_s, 1),
            photos_to_reembed=recognizer.bank.foreign_photos,
        )
    )
