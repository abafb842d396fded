<?php
// PHP's SoapClient for peers.py: php peers_client.php <url> <warm-up> <seconds>
[, $url, $warm, $seconds] = $argv;
ini_set('soap.wsdl_cache_enabled', '0');
$client = new SoapClient("$url?wsdl", ['keep_alive' => true]);
$number = 0;

function cpu(): float {
    $usage = getrusage();
    return $usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']
        + ($usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec']) / 1e6;
}

foreach ([(float) $warm, (float) $seconds] as $length) {
    [$cpu, $start, $made] = [cpu(), microtime(true), 0];
    while (microtime(true) < $start + $length) {
        $number++;
        $client->get_status(['apikey' => 'benchmark', 'phone' => '+' . (79990000000 + $number), 'id' => 'a1', 'all' => 0]);
        $made++;
    }
    [$cpu, $took] = [cpu() - $cpu, microtime(true) - $start];
}
$memory = getrusage()['ru_maxrss'] / 1024;
echo json_encode(['cpu' => $cpu / $made * 1e6, 'rate' => $made / $took, 'memory' => $memory]), "\n";
