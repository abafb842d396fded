<?php
// PHP's SoapClient for the tests. Reads JSON on stdin: {"wsdl": address, "calls": [...]}, where a call is
// {"method": name, "fields": {...}}, with "must_understand": true for a header that the service doesn't know, or with
// "namespace": for a client that has no WSDL and was told this namespace. Writes a JSON list with one entry for each
// call: {"result": {...}} or {"fault": [code, string]}, and the HTTP status and Content-Type of the answer.

function http(SoapClient $client): array
{
    $headers = (string) $client->__getLastResponseHeaders();
    preg_match('~^HTTP/\S+ (\d+)~', $headers, $status);
    preg_match('~^Content-Type: *([^\r\n]+)~mi', $headers, $type);
    return ['status' => (int) ($status[1] ?? 0), 'content_type' => $type[1] ?? ''];
}

$input = json_decode(stream_get_contents(STDIN), true, flags: JSON_THROW_ON_ERROR);
$options = ['trace' => true, 'cache_wsdl' => WSDL_CACHE_NONE, 'connection_timeout' => 10];
$answers = [];
foreach ($input['calls'] as $call) {
    if (isset($call['namespace'])) {
        $location = preg_replace('~\?.*~', '', $input['wsdl']);
        $client = new SoapClient(null, ['location' => $location, 'uri' => $call['namespace']] + $options);
    } else {
        $client = new SoapClient($input['wsdl'], $options);
    }
    $headers = ($call['must_understand'] ?? false) ? [new SoapHeader('urn:header', 'x', '1', true)] : null;
    try {
        $answers[] = ['result' => $client->__soapCall($call['method'], [$call['fields']], null, $headers)] + http($client);
    } catch (SoapFault $fault) {
        $answers[] = ['fault' => [$fault->faultcode, $fault->getMessage()]] + http($client);
    }
}
echo json_encode($answers, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR);
