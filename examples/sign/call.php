<?php
// composer require aws/aws-sdk-php
require 'vendor/autoload.php';

$request = new GuzzleHttp\Psr7\Request('GET', getenv('WECHAT_KF_API_URL') . '/merchants?limit=5');
$credentials = Aws\Credentials\CredentialProvider::defaultProvider()()->wait();
$signer = new Aws\Signature\SignatureV4('execute-api', getenv('AWS_REGION'));
$response = (new GuzzleHttp\Client())->send($signer->signRequest($request, $credentials));
echo $response->getBody(), "\n";
