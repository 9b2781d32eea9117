"""Which service is called, and by whom: the environment, or what `sumo-k8 login` has saved."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import SumoK8Error


@dataclass(frozen=True)
class Settings:
    url: str
    api_key: str | None
    admin_key: str | None


def from_env(env: Mapping[str, str]) -> Settings:
    """SUMO_K8_URL, SUMO_K8_API_KEY and SUMO_K8_ADMIN_KEY; what is not set is taken from the saved settings, if they are of the same
    service.
    """
    saved = _saved(env)
    url = env.get("SUMO_K8_URL") or saved.get("url")
    if not url:
        raise SumoK8Error("No service is named: set SUMO_K8_URL and SUMO_K8_API_KEY, or run sumo-k8 login.")
    keys = saved if url == saved.get("url") else {}
    return Settings(
        url,
        env.get("SUMO_K8_API_KEY") or keys.get("api_key") or None,
        env.get("SUMO_K8_ADMIN_KEY") or keys.get("admin_key") or None,
    )


def _saved(env: Mapping[str, str]) -> dict[str, str]:
    config = env.get("XDG_CONFIG_HOME") or (os.path.join(env["HOME"], ".config") if env.get("HOME") else "")
    if not config:
        return {}
    path = Path(config, "sumo-k8", "config.json")
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise SumoK8Error(f"{path} holds keys, and other users can read it; run: chmod 600 {path}")
        saved = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as e:
        raise SumoK8Error(f"{path} is not what sumo-k8 login writes ({e}); run it again") from None
    return {str(k): str(v) for k, v in saved.items()}
