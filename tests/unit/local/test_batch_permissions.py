"""The emulator is given the batch form of what a role already may, and nothing else."""

from wechat_kf_local.batch_permissions import with_batches


def test_only_granted_sqs_actions_gain_their_batch_form_on_the_same_resource() -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "queue"},
            {"Effect": "Allow", "Action": ["sqs:ReceiveMessage", "s3:GetObject"], "Resource": "*"},
        ],
    }

    send, other = with_batches(policy)["Statement"]

    assert send == {
        "Effect": "Allow",
        "Action": ["sqs:SendMessage", "sqs:SendMessageBatch"],
        "Resource": "queue",
    }
    assert other == policy["Statement"][1]
