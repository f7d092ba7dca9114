<?php
// Call a task of gearfleet from PHP, and print its result as JSON.
//
//     php call.php 127.0.0.1:4730 shop.worker_foo.greet '["Ada"]'
//
// Needs the extension gearman (Debian: php-gearman). With
// GEARFLEET_SIGNING_KEY the job is signed.

[, $server, $function, $args] = $argv;
$payload = $body = '{"v":1,"args":' . $args . '}';

if ($secret = getenv('GEARFLEET_SIGNING_KEY')) {
    $key = hash_hmac('sha256', 'gearfleet payload', $secret, true);
    $signature = hash_hmac('sha256', "gearfleet/1 envelope $function \n$body", $key);
    $payload = "gearfleet/1 envelope $signature\n$body";
}

[$host, $port] = explode(':', $server);
$client = new GearmanClient();
$client->addServer($host, (int) $port);

do {
    $result = $client->doNormal($function, $payload);
    if ($client->returnCode() === GEARMAN_WORK_WARNING) {
        fwrite(STDERR, $result . "\n");
    }
} while (in_array($client->returnCode(), [GEARMAN_WORK_WARNING, GEARMAN_WORK_DATA, GEARMAN_WORK_STATUS]));

if ($client->returnCode() !== GEARMAN_SUCCESS) {
    fwrite(STDERR, "$function failed\n");
    exit(1);
}
echo $result, "\n";
