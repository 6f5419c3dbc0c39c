"""The addresses of the dashboard's server and what they answer. Every one of them needs the token."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from anon_tune.dashboard.comparisons import Comparisons
from anon_tune.dashboard.listing import listing
from anon_tune.dashboard.watch import Watch
from anon_tune.dashboard.watched import WatchedStudy
from anon_tune.report.page import page_frame, page_script, page_style
from anon_tune.report.sections import PageSection
from anon_tune.report.trial_panel import trial_panel
from anon_tune.report.wording import text

# The page may run only the scripts of this server, and reach nothing else. unsafe-eval is needed because Plotly's
# parallel coordinates compile code at run time; Plotly also writes style elements.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HOSTS = ("127.0.0.1", "localhost")
_KINDS = {"still": "image/png", "clip": "video/webm"}
_KEEP = {"Cache-Control": "private, max-age=86400"}
_READING = PageSection("summary", "", '<p class="note">The study is being read.</p>')
_SECTIONS = (
    ("front", "Pareto front"),
    ("gallery", "What the front looks like"),
    ("certificates", "Certificates"),
    ("progress", "Hypervolume"),
    ("parallel", "Params and objectives"),
    ("importance", "Importance of params"),
    ("rungs", "Rung survival"),
    ("nodes", "Nodes"),
    ("losses", "Losses"),
    ("trials", "All trials"),
    ("failed", "Failed trials"),
)


def _empty(key_and_title: tuple[str, str]) -> PageSection:
    return PageSection(*key_and_title, "")


class Guard:
    """Refuses every request without the token, and every request for another host, with 403.

    A page from elsewhere that a browser has open cannot know the token. The name of the host is checked too, because
    such a page may make its own name lead to this machine.

    Args:
        app: What answers the other requests.
        token: The token.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app, self._token = app, token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope)
        given = request.query_params.get("token", "").encode(errors="replace")
        host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
        if hmac.compare_digest(given, self._token) and host in _HOSTS:
            await self._app(scope, receive, send)
            return
        refusal = PlainTextResponse("The address needs the token that 'anon-tune dashboard' printed.\n", 403, _HEADERS)
        await refusal(scope, receive, send)


def application(watch: Watch, token: str) -> ASGIApp:
    """Return the server's application.

    Args:
        watch: The studies.
        token: Without it, every request is refused.
    """
    pages = _Pages(watch, token)
    routes = [
        Route("/", pages.home),
        Route("/changes", pages.listing_changes),
        Route("/study/{key}", pages.study),
        Route("/study/{key}/changes", pages.study_changes),
        Route("/study/{key}/panel", pages.panel),
        Route("/study/{key}/media", pages.media),
        Route("/compare", pages.compare),
        Route("/compare/{keys}/changes", pages.compare_changes),
        Route("/assets/{name}", pages.asset),
    ]
    return Guard(Starlette(routes=routes), token)


class _Pages:
    def __init__(self, watch: Watch, token: str) -> None:
        self._watch, self._token = watch, token
        self._comparisons = Comparisons(watch)

    async def home(self, request: Request) -> Response:
        key = await run_in_threadpool(self._watch.only_study)
        if key is not None and "all" not in request.query_params:
            return self._study_page(key)
        return self._page("Studies · anon-tune", await run_in_threadpool(listing, self._watch, self._token), "")

    async def listing_changes(self, request: Request) -> Response:
        return _changed(request, await run_in_threadpool(listing, self._watch, self._token))

    async def study(self, request: Request) -> Response:
        return self._study_page(request.path_params["key"])

    def _study_page(self, key: str) -> Response:
        found = self._watch.study(key)
        if found is None:
            return _gone()
        snapshot = found.snapshot
        if snapshot is None:  # the page comes at once, and fills itself when the study is read
            waiting = [_READING, *map(_empty, _SECTIONS)]
            return self._page(f"{text(found.study.name)} · anon-tune", waiting, f"/study/{key}")
        shown = list(snapshot.sections)
        if snapshot.shown is None:  # the other sections may come, if the study is mended
            shown += map(_empty, _SECTIONS)
        return self._page(snapshot.title, shown, f"/study/{key}")

    async def study_changes(self, request: Request) -> Response:
        found = self._watch.study(request.path_params["key"])
        if found is None:
            gone = PageSection("summary", "", '<p class="failed">This study is no longer there.</p>')
            return _changed(request, [gone])
        if found.snapshot is None:
            return _changed(request, [])
        return _changed(request, found.snapshot.sections, found.snapshot.title)

    async def panel(self, request: Request) -> Response:
        found, wanted = self._watch.study(request.path_params["key"]), request.query_params.get("trial")
        shown = found.snapshot.shown if found is not None and found.snapshot is not None else None
        trial = next((t for t in shown.trials if t.id == wanted), None) if shown is not None else None
        if shown is None or trial is None:
            return _gone()
        return HTMLResponse(await run_in_threadpool(trial_panel, trial, shown), headers=_HEADERS)

    async def media(self, request: Request) -> Response:
        found, query = self._watch.study(request.path_params["key"]), request.query_params
        kind = query.get("kind", "")
        if found is None or kind not in _KINDS:
            return _gone()
        return await run_in_threadpool(_media, found, query.get("trial", ""), kind)

    async def compare(self, request: Request) -> Response:
        keys = request.query_params.getlist("study")
        sections = await run_in_threadpool(self._comparisons.sections, keys)
        return self._page("Studies compared · anon-tune", sections, f"/compare/{quote(','.join(keys))}")

    async def compare_changes(self, request: Request) -> Response:
        keys = request.path_params["keys"].split(",")
        return _changed(request, await run_in_threadpool(self._comparisons.sections, keys))

    async def asset(self, request: Request) -> Response:
        match request.path_params["name"]:
            case "plotly.js":
                return Response(
                    await run_in_threadpool(_plotly), media_type="text/javascript", headers=_HEADERS | _KEEP
                )
            case "page.js":
                return Response(page_script(), media_type="text/javascript", headers=_HEADERS)
            case "page.css":
                return Response(page_style(), media_type="text/css", headers=_HEADERS)
        return _gone()

    def _page(self, title: str, sections: Sequence[PageSection], live: str) -> Response:
        token = quote(self._token)
        head = f'<link rel="stylesheet" href="/assets/page.css?token={token}">'
        end = "".join(
            f'<script src="/assets/{name}?token={token}" defer></script>' for name in ("plotly.js", "page.js")
        )
        link = f'<a href="/?all=1&amp;token={token}">All studies</a> ' if live else ""
        back = f'<p class="note">{link}<span id="connection" role="status"></span></p>'
        attributes = f' data-live="{live}" data-token="{text(self._token)}"'
        return HTMLResponse(page_frame(title, sections, head, back + end, attributes), headers=_HEADERS)


def _changed(request: Request, sections: Sequence[PageSection], title: str = "") -> Response:
    """Answer with the sections that differ from those that the page has, which it names as ``key:mark,…``."""
    have = set(request.query_params.get("have", "").split(","))
    changed = [one for one in sections if f"{one.key}:{one.mark}" not in have]
    found = [{"key": one.key, "mark": one.mark, "html": one.html} for one in changed]
    return JSONResponse({"title": title, "sections": found}, headers=_HEADERS | {"Cache-Control": "no-store"})


def _media(found: WatchedStudy, trial_id: str, kind: str) -> Response:
    # A name that comes with a request leads to a file only if it is the name of a trial.
    shown = found.snapshot.shown if found.snapshot is not None else None
    if shown is None or all(t.id != trial_id for t in shown.trials):
        return _gone()
    place = found.study.trial(trial_id)
    file = place.preview if kind == "still" else place.moving_preview
    try:
        content = file.read()
    except OSError:
        return _gone()
    return Response(content, media_type=_KINDS[kind], headers=_HEADERS | _KEEP)


@cache
def _plotly() -> bytes:
    return files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()


def _gone() -> Response:
    return PlainTextResponse("There is nothing at this address.\n", 404, _HEADERS)
