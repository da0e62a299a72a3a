"""Is the server alive, and what does it hold?"""

from __future__ import annotations

from fastapi import APIRouter

from visage import __version__
from visage.api.deps import ServiceDep
from visage.api.openapi import refusals
from visage.api.schemas import Envelope, Health

router = APIRouter(tags=["server"])


@router.get("/health", operation_id="health", responses=refusals())
async def health(service: ServiceDep) -> Envelope[Health]:
    """The server's state; 503 until models and bank are loaded."""
    recognizer = service.recognizer
    return Envelope(
        data=Health(
            version=__version__,
            model=recognizer.model,
            persons=recognizer.bank.person_count,
            embeddings=recognizer.bank.embedding_count,
            uptime_s=round(service.uptime_s, 1),
        )
    )
