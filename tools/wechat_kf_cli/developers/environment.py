"""The command `env`: what a shell needs so that every command of the documents can be pasted."""

from __future__ import annotations

import shlex

from wechat_kf_cli.options import Profile, Region, StackName
from wechat_kf_cli.stack.state import StateDirectory
from wechat_kf_cli.stack.target import StackOptions, find_target


def env(stack_name: StackName = None, region: Region = None, profile: Profile = None) -> int:
    """Print variables for a shell: eval "$(wechat-kf env)".

    For the local stack with the emulator's credentials, which are worth nothing elsewhere; for a
    deployed one without any.
    """
    for name, value in _variables(StackOptions(stack_name, region, profile)).items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _variables(options: StackOptions) -> dict[str, str]:
    target = find_target(options)
    variables = {
        "WECHAT_KF_API_URL": target.outputs["ApiUrl"],
        "WECHAT_KF_PUSH_URL": target.outputs["PushUrl"],
        "AWS_REGION": target.region,
        "AWS_DEFAULT_REGION": target.region,
    }
    if options.profile:
        variables["AWS_PROFILE"] = options.profile
    if not target.emulated:
        return variables
    info = StateDirectory.from_environment().read()
    return variables | {
        "WECHAT_KF_SIMULATOR_URL": info.simulator_url,
        "WECHAT_KF_PAGE_URL": info.page_url,
        "AWS_ENDPOINT_URL": info.aws_endpoint_url,
        "AWS_ACCESS_KEY_ID": info.access_key_id,
        "AWS_SECRET_ACCESS_KEY": info.secret_access_key,
    }
