<?php
// A program that sends a one-time code, and then what its test would do: read the code and let the message be delivered.
// SMSC_URL is the URL of the service, of the sandbox such as http://sandbox:8025/sys/soap.php.

$url = getenv('SMSC_URL');
$login = ['login' => 'demo', 'psw' => 'demo'];
$service = new SoapClient("$url?wsdl", ['cache_wsdl' => WSDL_CACHE_NONE]);
$sent = $service->send_sms($login + ['phones' => '+79991234567', 'mes' => 'Your code is 4821'])->sendresult;
echo "sent as {$sent->id}\n";

// The API of the sandbox, see docs/reference/sandbox-api.md.
$api = str_replace('/sys/soap.php', '/_sandbox/api', $url);
$message = json_decode(file_get_contents("$api/messages?phone=%2B79991234567&wait=5"), true)['messages'][0];
echo "the code is {$message['codes'][0]}\n";

$json = ['method' => 'POST', 'header' => 'Content-Type: application/json', 'content' => '{"status": 1}'];
file_get_contents("$api/messages/{$message['key']}/status", false, stream_context_create(['http' => $json]));
$status = $service->get_status($login + ['phone' => '79991234567', 'id' => $sent->id])->statusresult;
echo "its status is {$status->status}\n";
