<?php
// A program in a container beside that of the sandbox: it calls the service by its WSDL and asks the API what was sent.
// SANDBOX is the address and port that the name "sandbox:8025" stands for where there is no container network.

final class ContainerClient extends SoapClient
{
    public function __doRequest(string $request, string $location, string $action, int $version, bool $oneWay = false): string
    {
        return fetch($location, $request, "text/xml; charset=utf-8");
    }
}

function fetch(string $url, ?string $body = null, string $type = "application/json"): string
{
    $address = str_replace('http://sandbox:8025', 'http://' . getenv('SANDBOX'), $url);
    $http = ['header' => "Host: sandbox:8025\r\nContent-Type: $type", 'ignore_errors' => true, 'timeout' => 20];
    if ($body !== null) {
        $http += ['method' => 'POST', 'content' => $body];
    }
    return file_get_contents($address, false, stream_context_create(['http' => $http]));
}

$api = 'http://sandbox:8025/_sandbox/api';
$wsdl = 'data://text/xml;base64,' . base64_encode(fetch('http://sandbox:8025/sys/soap.php?wsdl'));
$client = new ContainerClient($wsdl, ['cache_wsdl' => WSDL_CACHE_NONE]);
$client->send_sms(['login' => 'demo', 'psw' => 'demo', 'phones' => '+79991234567', 'mes' => 'Ваш код 4821', 'id' => '7']);
$found = json_decode(fetch("$api/messages?phone=%2B79991234567&wait=5"), true);
$key = $found['messages'][0]['key'];
fetch("$api/messages/$key/status", json_encode(['status' => 20, 'err' => 6]));
$status = $client->get_status(['login' => 'demo', 'psw' => 'demo', 'phone' => '79991234567', 'id' => '7']);
echo json_encode([
    'location' => preg_match('~location="([^"]+)"~', fetch('http://sandbox:8025/sys/soap.php?wsdl'), $at) ? $at[1] : '',
    'codes' => $found['messages'][0]['codes'],
    'status' => $status->statusresult->status,
    'err' => $status->statusresult->err,
]);
