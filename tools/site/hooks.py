"""What MkDocs calls while it builds the site; see `hooks` in mkdocs.yml."""

from __future__ import annotations

import logging
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from tools.site import pages, reference

_log = logging.getLogger("mkdocs.hooks.site")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The files of docs/, the reference, and what is linked to outside of docs/."""
    for path, content in {**reference.pages(), **pages.elsewhere()}.items():
        files.append(File.generated(config, path, content=content))
    complain_of_omitted(files, config)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    path = pages.in_repository(page.file.src_uri)
    if not path.endswith(".md"):
        page.meta["search"] = {"exclude": True}  # code would outnumber the words

    def is_known(target: str) -> bool:
        return files.get_file_from_path(pages.on_site(target)) is not None

    return pages.nested(pages.linked(pages.without_notes(markdown), path, is_known))


def complain_of_omitted(files: Files, config: MkDocsConfig) -> None:
    """MkDocs names such pages, too, but not what to do."""
    named = set(_leaves(config.nav))
    for file in files.documentation_pages():
        if file.src_uri not in named and not file.src_uri.startswith(f"{pages.ELSEWHERE}/"):
            _log.warning(
                "%s/%s is in no menu: add the line `- Title: %s` under `nav` in mkdocs.yml",
                pages.DOCS,
                file.src_uri,
                file.src_uri,
            )


def _leaves(nav: Any) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    children = nav.values() if isinstance(nav, dict) else nav or ()
    return [leaf for child in children for leaf in _leaves(child)]
