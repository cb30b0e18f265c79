"""Run the WeChat simulator alone: `python -m wechat_kf_local.simulator --help`."""

from wechat_kf_local.simulator.server import main

if __name__ == "__main__":
    main()
