<?php

/** Tells whether a webhook is genuine. The secret is whsec_…, the body is as it was received. */
function verify(string $secret, array $headers, string $body): bool
{
    $headers = array_change_key_case($headers, CASE_LOWER);
    $id = $headers['webhook-id'] ?? '';
    $timestamp = $headers['webhook-timestamp'] ?? '';
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    // The key is what follows whsec_, base64-decoded: not the text itself.
    $key = base64_decode(substr($secret, strlen('whsec_')));
    $expected = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$timestamp.$body", $key, true));
    foreach (explode(' ', $headers['webhook-signature'] ?? '') as $one) { // two during a rotation
        if (hash_equals($expected, $one)) {
            return true;
        }
    }
    return false;
}
