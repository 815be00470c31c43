/* llm-d's EndpointPickerConfig: what it becomes, what is told of it, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arena.h"
#include "buf.h"
#include "conf.h"
#include "fault.h"
#include "log.h"
#include "options.h"
#include "picker_config.h"
#include "picker_config_types.h"
#include "plugin.h"
#include "pool.h"
#include "yaml.h"

#define POOL "pools:\n- name: p\n  file: /f\n"
#define HEAD                                                            \
	"    apiVersion: llm-d.ai/v1alpha1\n"                           \
	"    kind: EndpointPickerConfig\n"

/* The document begins at line 5; what follows its head, at line 7. */
#define DOC POOL "  scheduling:\n" HEAD
#define V1 POOL "  scheduling:\n"                                           \
	"    apiVersion: llm-d.ai/v1\n"                                 \
	"    kind: EndpointPickerConfig\n"
#define FEEDBACK "feedback: {listen: 127.0.0.1:9003}\n"
#define GATE "    featureGates: [flowControl]\n"

static char dir[] = "/tmp/test_picker_config.XXXXXX";

static struct options *parse(const char *text)
{
	struct fault why = { 0 };
	char said[700];
	struct options *o = options_parse("f", span_of(text), &why);

	if (o == NULL)
		fail_msg("%s: %s", text, fault_text(&why, said, sizeof(said)));
	return o;
}

static void expect_fault_in(const char *file, const char *text, unsigned line,
    const char *found, const char *want)
{
	struct fault why = { 0 };
	struct options *o = options_parse("f", span_of(text), &why);

	if (o != NULL)
		fail_msg("%s: it is taken", text);
	if (strstr(why.found, found) == NULL || strstr(why.want, want) == NULL ||
	    why.line != line || strcmp(why.file, file) != 0)
		fail_msg("%s: %s:%u: %s; want: %s", text, why.file, why.line,
		    why.found, why.want);
}

static void expect_fault(const char *text, unsigned line, const char *found,
    const char *want)
{
	expect_fault_in("f", text, line, found, want);
}

/* ---- what is refused ---- */

#define PLUGINS DOC "    plugins:\n"
#define PROFILE                                                         \
	"    - type: queue-scorer\n"                                      \
	"    - {type: max-score-picker, name: best}\n"                    \
	"    schedulingProfiles:\n"                                       \
	"    - name: one\n"                                               \
	"      plugins:\n"

static const struct {
	const char *text;
	unsigned line;
	const char *found, *want;
} bad[] = {
	/* Types, with the nearest one. */
	{ PLUGINS "    - type: queue-scorrer\n", 8,
	    "a plugin of a type that we do not have: queue-scorrer",
	    "queue-scorer" },
	{ PLUGINS "    - name: x\n      type: max-scores-picker\n", 9,
	    "do not have: max-scores-picker", "max-score-picker" },
	{ PLUGINS "    - type: openai-parsers\n", 8, "openai-parsers",
	    "openai-parser" },
	{ PLUGINS "    - type: label-selector-filtre\n", 8, "",
	    "label-selector-filter" },
	/* What llm-d has and we refuse: no name that is merely alike. */
	{ PLUGINS "    - type: multicluster-prefix-cache-scorer\n", 8,
	    "do not have: multicluster-prefix-cache-scorer",
	    "without `multicluster-`" },
	{ PLUGINS "    - type: disaggregatedset-rollout-screener\n", 8, "",
	    "a pool of each revision" },
	{ PLUGINS "    - {type: capacity-ledger, name: g, parameters:"
	    " {slotsPerEndpoint: 8}}\n", 8,
	    "do not have: capacity-ledger", "concurrency-detector: " },
	{ PLUGINS "    - type: precise-prefix-cache-producer\n"
	    "      parameters:\n        kvEventsConfig:\n"
	    "          zmqEndpoint: tcp://*:5557\n", 11, "zmqEndpoint: tcp",
	    "none: engines bind, at podDiscoveryConfig.socketPort" },
	{ PLUGINS "    - type: precise-prefix-cache-producer\n"
	    "      parameters:\n        kvEventsConfig:\n"
	    "          engineType: trtllm\n", 11, "engineType: trtllm", "sglang" },
	{ PLUGINS "    - type: precise-prefix-cache-scorer\n"
	    "      parameters:\n        kvEventConfig: {}\n", 10,
	    "unknown key kvEventConfig", "kvEventsConfig" },
	{ PLUGINS "    - type: precise-prefix-cache-producer\n"
	    "      parameters:\n        kvEventsConfig: {podDiscoveryConfig: "
	    "{socketPort: 0}}\n", 10, "socketPort: 0", "1 to 65535" },
	{ PLUGINS "    - type: token-producer\n"
	    "      parameters: {vllm: {url: 'localhost:8000'}}\n", 9,
	    "url: \"localhost:8000\"", "http:// or https://" },
	{ PLUGINS "    - type: tokenizer\n"
	    "      parameters: {vlm: {url: 'http://r:8000'}}\n", 9,
	    "unknown key vlm", "vllm" },
	{ PLUGINS "    - type: x\n", 8, "do not have: x", "one of: " },
	{ PLUGINS "    - type: x\n", 8, "do not have: x",
	    "topology-affinity-filter, ..." },
	{ PLUGINS "    - name: x\n", 8, "a plugin without type", "type: " },
	{ PLUGINS "    - type:\n", 8, "a plugin without type", "type: " },
	{ PLUGINS "    - type: ''\n", 8, "type: \"\"", "a string" },
	{ PLUGINS "    - type: [queue-scorer]\n", 8, "type: a list",
	    "a string" },
	{ PLUGINS "    - {type: queue-scorer, name: {}}\n", 8, "name: a map",
	    "a string" },
	{ PLUGINS "    - type: \"a\\nb\"\n", 8, "type: \"a?b\"", "a name" },
	{ PLUGINS "    - {type: queue-scorer, name: \"\\e[2J\"}\n", 8,
	    "name: \"?[2J\"", "a name" },
	{ PLUGINS "    - queue-scorer\n", 8, "a plugin: queue-scorer",
	    "a map" },
	{ PLUGINS "    - ~\n", 8, "a plugin: nothing", "a map" },
	{ PLUGINS "    - type: queue-scorer\n      parametres: {}\n", 9,
	    "a plugin with unknown key parametres", "parameters" },
	{ DOC "    plugins: queue-scorer\n", 7, "plugins: queue-scorer",
	    "a list" },
	{ DOC "    plugins: {type: queue-scorer}\n", 7, "plugins: a map",
	    "a list" },
	/* Parameters. */
	{ PLUGINS "    - type: queue-scorer\n      parameters:\n"
	    "        weight: 2\n", 10,
	    "a parameter of a plugin that takes none: weight",
	    "no parameters" },
	{ PLUGINS "    - type: prefix-cache-scorer\n      parameters:\n"
	    "        matchLengthWeigth: 1\n", 10,
	    "prefix-cache-scorer with unknown key matchLengthWeigth",
	    "matchLengthWeight" },
	/* Older documents of llm-d. */
	{ PLUGINS "    - type: prefix-cache-scorer\n      parameters:\n"
	    "        matchLengthWeight: 1\n"
	    "        lruCapacityPerServer: 500\n", 11,
	    "has no more: lruCapacityPerServer",
	    "it under approx-prefix-cache-producer" },
	{ PLUGINS "    - type: prefix-cache-affinity-filter\n"
	    "      parameters: {maxTokensInFlightPenalty: 286720}\n", 9,
	    "has no more: maxTokensInFlightPenalty", "maxTTFTPenaltyMs: " },
	{ PLUGINS "    - type: pd-profile-handler\n      parameters:\n"
	    "        threshold: 0\n", 10, "has no more: threshold",
	    "prefix-based-pd-decider" },
	{ PLUGINS "    - type: prefix-cache-scorer\n      parameters:\n"
	    "        matchLengthWeight: 2\n", 10, "matchLengthWeight: 2",
	    "a number from 0 to 1" },
	{ PLUGINS "    - type: approx-prefix-cache-producer\n"
	    "      parameters:\n        blockSizeToken: 16\n", 10,
	    "approx-prefix-cache-producer with unknown key blockSizeToken",
	    "blockSizeTokens" },
	{ PLUGINS "    - type: approx-prefix-cache-producer\n"
	    "      parameters:\n        blockSizeTokens: 1025\n", 10,
	    "blockSizeTokens: 1025", "from 0 to 1024" },
	{ PLUGINS "    - type: queue-scorer\n      parameters: 5\n", 9,
	    "parameters: 5", "a map" },
	{ PLUGINS "    - type: openai-parser\n      parameters: []\n", 9,
	    "parameters: a list", "a map" },
	{ PLUGINS "    - name: x\n      type: header-label-affinity-scorer\n",
	    9, "header-label-affinity-scorer without headerName",
	    "headerName: " },
	{ PLUGINS "    - type: header-label-affinity-scorer\n"
	    "      parameters:\n        headerName: x\n", 9,
	    "header-label-affinity-scorer without labelKey", "labelKey: " },
	{ PLUGINS "    - type: utilization-detector\n      parameters:\n"
	    "        queueDepth: 5\n", 10,
	    "utilization-detector with unknown key queueDepth",
	    "queueDepthThreshold" },
	{ PLUGINS "    - type: utilization-detector\n      parameters:\n"
	    "        retryAfter: 5s\n", 10, "unknown key retryAfter", "one of" },
	{ PLUGINS "    - type: concurrency-detector\n      parameters:\n"
	    "        detector: utilization-detector\n", 10,
	    "unknown key detector", "one of" },
	{ PLUGINS "    - type: queue-scorer\n      parameters:\n"
	    "        prefixMatchInfoProducerName: x\n", 10,
	    "takes none: prefixMatchInfoProducerName", "no parameters" },
	{ PLUGINS "    - type: prefix-cache-scorer\n      parameters:\n"
	    "        prefixMatchInfoProducerName: mine\n", 10,
	    "a producer: mine", "a name under plugins" },
	{ PLUGINS "    - type: prefix-cache-scorer\n      parameters:\n"
	    "        prefixMatchInfoProducerName: [x]\n", 10,
	    "a producer: a list", "its name" },
	{ PLUGINS "    - type: metrics-data-source\n      parameters:\n"
	    "        path: metrics\n", 10, "path: metrics", "a path such as" },
	{ PLUGINS "    - type: metrics-data-source\n      parameters:\n"
	    "        scheme: ftp\n", 10, "scheme: ftp", "http" },
	{ PLUGINS "    - type: metrics-data-source\n      parameters:\n"
	    "        port: 0\n", 10, "port: 0", "from 1 to 65535" },
	{ PLUGINS "    - type: metrics-data-source\n      parameters:\n"
	    "        clientKeyPath: /k\n", 10, "clientKeyPath: /k",
	    "no client certificate" },
	{ PLUGINS "    - type: core-metrics-extractor\n      parameters:\n"
	    "        engineConfigs: [{name: x}]\n", 10,
	    "engineConfigs: a list", "`engines:` of agent.yaml" },
	{ PLUGINS "    - type: core-metrics-extractor\n      parameters:\n"
	    "        defaultEngine: vlmm\n", 10, "defaultEngine: vlmm",
	    "vllm" },
	{ PLUGINS "    - type: static-usage-limit-policy\n      parameters:\n"
	    "        treshold: 1\n", 10, "unknown key treshold", "threshold" },
	/* Names. */
	{ PLUGINS "    - type: queue-scorer\n    - type: queue-scorer\n", 9,
	    "a second plugin of this name: queue-scorer",
	    "a name of its own" },
	{ PLUGINS "    - {type: queue-scorer, name: a}\n    - name: b\n"
	    "      type: queue-scorer\n    - type: token-producer\n"
	    "      name: a\n", 12, "a second plugin of this name: a", "" },
	{ PLUGINS "    - {type: queue-scorer, name: token-producer}\n"
	    "    - type: token-producer\n", 9,
	    "a second plugin of this name: token-producer", "" },
	/* Profiles. */
	{ PLUGINS PROFILE "      - pluginRef: bets\n", 13,
	    "no such name under plugins: bets", "best" },
	{ PLUGINS PROFILE "      - pluginRef: max-score-picker\n", 13,
	    "no such name under plugins: max-score-picker",
	    "{type: max-score-picker} there too" },
	{ PLUGINS PROFILE "      - pluginRef: something-else-altogether\n", 13,
	    "something-else", "one of: queue-scorer, best" },
	{ DOC "    schedulingProfiles:\n    - name: one\n      plugins:\n"
	    "      - pluginRef: x\n", 10, "no such name under plugins: x",
	    "it there" },
	{ PLUGINS PROFILE "      - weight: 2\n", 13,
	    "a plugin of a profile without pluginRef", "pluginRef: " },
	{ PLUGINS PROFILE "      - pluginRef: best\n"
	    "        wieght: 2\n", 14,
	    "a plugin of a profile with unknown key wieght", "weight" },
	{ PLUGINS PROFILE "      - queue-scorer\n", 13,
	    "a plugin of a profile: queue-scorer", "a map" },
	{ PLUGINS PROFILE "      - {pluginRef: queue-scorer, weight: -1}\n", 13,
	    "weight: -1", "a number from 0" },
	{ PLUGINS PROFILE "      - {pluginRef: queue-scorer, weight: '2'}\n", 13,
	    "weight: \"2\"", "a number from 0" },
	{ PLUGINS PROFILE "      - {pluginRef: queue-scorer, weight: 1e9}\n", 13,
	    "weight: 1e9", "a number from 0" },
	{ PLUGINS "    - type: max-score-picker\n    - type: random-picker\n"
	    "    schedulingProfiles:\n    - name: one\n      plugins:\n"
	    "      - pluginRef: random-picker\n"
	    "      - pluginRef: max-score-picker\n", 14,
	    "a second picker in a profile: max-score-picker", "one" },
	{ PLUGINS PROFILE "      - pluginRef: best\n      - pluginRef: best\n",
	    14, "a second picker in a profile: best", "one" },
	{ PLUGINS "    - type: max-score-picker\n    - type: random-picker\n",
	    9, "a second picker in a profile: random-picker", "one" },
	{ DOC "    schedulingProfiles: [{name: one}, {name: two}]\n", 7,
	    "a second profile: two", "as disagg-profile-handler" },
	{ DOC "    schedulingProfiles:\n    - name: decode\n"
	    "    - name: prefill\n    plugins: [{type: single-profile-handler}]"
	    "\n", 9, "a second profile: prefill", "one: " },
	{ DOC "    schedulingProfiles:\n    - name: a\n    - name: b\n    plugins:"
	    " [{type: data-parallel-profile-handler}]\n", 9,
	    "a second profile: b", "one: " },
	{ DOC "    schedulingProfiles:\n    - name: a\n    - name: b\n"
	    "    - name: a\n", 10, "a second profile of this name: a",
	    "of its own" },
	{ DOC "    plugins:\n    - type: single-profile-handler\n    - {name: x,"
	    " type: disagg-profile-handler}\n", 9,
	    "a second profile handler: x", "one" },
	/* What a handler names must be there. */
	{ DOC "    plugins:\n    - type: disagg-profile-handler\n", 8,
	    "refers to what is not there: decode", "scheduling profile" },
	{ DOC "    plugins:\n    - type: disagg-profile-handler\n"
	    "      parameters:\n        profiles: {prefill: p,\n"
	    "          decode: d}\n    schedulingProfiles: [{name: decode}]\n", 11,
	    "refers to what is not there: d", "scheduling profile" },
	{ DOC "    plugins:\n    - type: disagg-profile-handler\n"
	    "      parameters:\n        deciders:\n"
	    "          prefill: always-disagg-pd-decider\n"
	    "    schedulingProfiles: [{name: decode}]\n", 11,
	    "refers to what is not there: always-disagg-pd-decider",
	    "a decider" },
	{ DOC "    plugins:\n    - type: pd-profile-handler\n"
	    "    schedulingProfiles: [{name: decode}]\n", 8,
	    "refers to what is not there: prefix-based-pd-decider",
	    "a decider" },
	{ DOC "    plugins:\n    - type: disagg-profile-handler\n"
	    "      parameters: {deciders: {encode: queue-scorer}}\n"
	    "    - type: queue-scorer\n"
	    "    schedulingProfiles: [{name: decode}]\n", 9,
	    "refers to what is not there: queue-scorer", "a decider" },
	{ DOC "    plugins:\n    - type: disagg-profile-handler\n"
	    "      parameters: {profiles: {}, deciderPluginName: x}\n", 9,
	    "deprecated parameters beside", "one kind" },
	{ DOC "    plugins:\n    - type: disagg-profile-handler\n"
	    "      parameters: {stageOrder: prefill-first,"
	    " deciders: {prefill: x}}\n", 9, "in prefill-first order", "none" },
	{ DOC "    plugins:\n    - type: disagg-profile-handler\n"
	    "      parameters: {stageOrder: decode}\n", 9, "stageOrder: decode",
	    "decode-first" },
	{ DOC "    plugins:\n    - type: disagg-profile-handler\n"
	    "      parameters: {deciders: {decode: x}}\n", 9,
	    "unknown key decode", "encode" },
	{ DOC "    plugins:\n    - type: header-profile-handler\n"
	    "    schedulingProfiles: [{name: a}, {name: b}]\n", 8,
	    "refers to what is not there: decode", "scheduling profile" },
	{ DOC "    plugins:\n    - type: data-parallel-profile-handler\n"
	    "      parameters: {primaryPort: 0}\n", 9, "primaryPort: 0", "1" },
	{ DOC "    plugins:\n    - type: prefix-based-pd-decider\n"
	    "      parameters: {nonCachedTokens: -1}\n", 9,
	    "nonCachedTokens: -1", "" },
	{ DOC "    plugins:\n    - type: always-disagg-pd-decider\n"
	    "      parameters: {nonCachedTokens: 1}\n", 9,
	    "takes none: nonCachedTokens", "no parameters" },
	{ DOC "    schedulingProfiles: [{plugins: []}]\n", 7,
	    "a scheduling profile without name", "name: " },
	{ DOC "    schedulingProfiles:\n    - name: a\n      plugin: []\n", 9,
	    "a scheduling profile with unknown key plugin", "plugins" },
	{ DOC "    schedulingProfiles: [a]\n", 7, "a scheduling profile: a",
	    "a map" },
	{ DOC "    schedulingProfiles: {name: a}\n", 7,
	    "schedulingProfiles: a map", "a list" },
	{ DOC "    schedulingProfiles: [{name: a, plugins: {}}]\n", 7,
	    "plugins: a map", "a list" },
	/* Gates. */
	{ DOC "    featureGates:\n    - flowControl\n    - flowcontrols\n", 9,
	    "an unknown feature gate: flowcontrols", "flowControl" },
	{ DOC "    featureGates: [flowControl=maybe]\n", 7,
	    "an unknown feature gate: flowControl=maybe", "flowControl" },
	{ DOC "    featureGates: [dataLayer]\n", 7,
	    "an unknown feature gate: dataLayer", "" },
	{ DOC "    featureGates: [[flowControl]]\n", 7,
	    "featureGates: a list", "a string" },
	{ DOC "    featureGates: {flowControl: true}\n", 7,
	    "featureGates: a map", "a list" },
	{ DOC "    featureGates: ['']\n", 7, "featureGates: \"\"",
	    "a string" },
	/* Keys and kinds of the document. */
	{ DOC "    plugin: []\n", 7,
	    "an EndpointPickerConfig with unknown key plugin", "plugins" },
	{ DOC "    schedulingProfile: []\n", 7, "unknown key schedulingProfile",
	    "schedulingProfiles" },
	{ POOL "  scheduling:\n    kind: EndpointPickerConfig\n", 4,
	    "an EndpointPickerConfig without apiVersion",
	    "apiVersion: llm-d.ai/v1alpha1" },
	{ POOL "  scheduling:\n    apiVersion: llm-d.ai/v1alpha1\n", 4,
	    "an EndpointPickerConfig without kind",
	    "kind: EndpointPickerConfig" },
	{ POOL "  scheduling:\n    apiVersion: llm-d.ai/v1alpha2\n"
	    "    kind: EndpointPickerConfig\n", 5,
	    "apiVersion: llm-d.ai/v1alpha2", "llm-d.ai/v1alpha1" },
	{ POOL "  scheduling:\n    apiVersion: v1\n    kind: ConfigMap\n"
	    "    data: {}\n", 7, "unknown key data", "one of" },
	{ POOL "  scheduling:\n    apiVersion: v1\n"
	    "    kind: EndpointPickerConfig\n", 5, "apiVersion: v1",
	    "one of: llm-d.ai/v1alpha1" },
	{ POOL "  scheduling:\n    apiVersion: llm-d.ai/v1alpha1\n"
	    "    kind: EndpointpickerConfig\n", 6,
	    "kind: EndpointpickerConfig", "EndpointPickerConfig" },
	{ POOL "  scheduling: {}\n", 4, "without apiVersion", "apiVersion: " },
	{ POOL "  scheduling: []\n", 4, "scheduling: a list",
	    "default, sticky, fastest, an EndpointPickerConfig, or the "
	    "absolute path of one" },
	{ POOL "  scheduling: picker.yaml\n", 4, "scheduling: picker.yaml",
	    "the absolute path" },
	{ POOL "  scheduling: ''\n", 4, "scheduling: \"\"",
	    "the absolute path" },
	/* Who is referred to in the sections. */
	{ DOC "    requestHandler: {parser: []}\n", 7,
	    "requestHandler with unknown key parser", "parsers" },
	{ DOC "    requestHandler: openai-parser\n", 7,
	    "requestHandler: openai-parser", "a map" },
	{ DOC "    requestHandler:\n      parsers:\n"
	    "      - pluginRef: openai-parse\n", 9,
	    "no such name under plugins: openai-parse", "it there" },
	{ PLUGINS "    - type: queue-scorer\n    requestHandler:\n"
	    "      parsers: [{pluginRef: queue-scorer}]\n", 10,
	    "a plugin of another kind: queue-scorer", "a parser" },
	{ DOC "    requestHandler: {parsers: [{pluginRef: token-producer}]}\n",
	    7, "no such name under plugins: token-producer",
	    "{type: token-producer} there too" },
	{ DOC "    parser: {pluginRef: fcfs-ordering-policy}\n", 7,
	    "no such name under plugins: fcfs-ordering-policy", "there too" },
	{ DOC "    dataLayer:\n      sorces: []\n", 8,
	    "dataLayer with unknown key sorces", "sources" },
	{ DOC "    dataLayer: {injectDefaults: 1}\n", 7, "injectDefaults: 1",
	    "true or false" },
	{ DOC "    dataLayer:\n      sources:\n"
	    "      - pluginRef: metrics-data-source\n", 9,
	    "no such name under plugins: metrics-data-source", "there too" },
	{ PLUGINS "    - type: queue-scorer\n    dataLayer:\n"
	    "      sources: [{pluginRef: queue-scorer}]\n", 10,
	    "a plugin of another kind: queue-scorer", "a source" },
	{ PLUGINS "    - type: metrics-data-source\n    dataLayer:\n"
	    "      sources:\n      - pluginRef: metrics-data-source\n"
	    "        extractors:\n        - pluginRef: core\n", 13,
	    "no such name under plugins: core", "" },
	{ PLUGINS "    - type: queue-scorer\n    dataLayer:\n"
	    "      discovery: {pluginRef: queue-scorer}\n", 10,
	    "a plugin of another kind: queue-scorer", "file-discovery" },
	{ PLUGINS "    - type: queue-scorer\n    dataLayer:\n"
	    "      discovery: {endpoints: {pluginRef: queue-scorer}}\n", 10,
	    "a plugin of another kind: queue-scorer", "file-discovery" },
	{ DOC "    dataLayer:\n      discovery: {endpoint: {}}\n", 8,
	    "discovery with unknown key endpoint", "endpoints" },
	/* Keys of another apiVersion. */
	{ V1 "    parser: {pluginRef: openai-parser}\n", 7,
	    "parser: a key of llm-d.ai/v1alpha1, in a document of llm-d.ai/v1",
	    "requestHandler.parsers" },
	{ V1 "    saturationDetector: ~\n", 7, "saturationDetector: a key of ",
	    "flowControl.saturationDetector" },
	{ V1 "    dataLayer:\n      discovery: {pluginRef: ''}\n", 8,
	    "dataLayer.discovery.pluginRef: a key of ",
	    "dataLayer.discovery.endpoints.pluginRef" },
	{ V1 "    dataLayer:\n      peerDiscovery: {}\n", 8,
	    "dataLayer.peerDiscovery: a key of ",
	    "dataLayer.discovery.peers" },
	{ V1 "    dataLayer:\n      crossReplicaSyncerPluginRef: ''\n", 8,
	    "dataLayer.crossReplicaSyncerPluginRef: a key of ",
	    "dataLayer.crossReplica.syncerPluginRef" },
	{ V1 "    dataLayer:\n      crossReplicaSyncInterval: 1s\n", 8,
	    "dataLayer.crossReplicaSyncInterval: a key of ",
	    "dataLayer.crossReplica.syncInterval" },
	{ V1 "    dataLayer:\n      crossReplicaPublishTimeout: 1s\n", 8,
	    "dataLayer.crossReplicaPublishTimeout: a key of ",
	    "dataLayer.crossReplica.publishTimeout" },
	{ DOC "    dataLayer:\n      crossReplica: {}\n", 8,
	    "dataLayer.crossReplica: a key of llm-d.ai/v1, in a document of "
	    "llm-d.ai/v1alpha1", "dataLayer.crossReplicaSyncerPluginRef" },
	{ DOC "    flowControl:\n      endpointGatePluginRef: ''\n", 8,
	    "flowControl.endpointGatePluginRef: a key of llm-d.ai/v1, ",
	    "no gate" },
	{ POOL "  scheduling:\n"
	    "    apiVersion: inference.networking.x-k8s.io/v1alpha1\n"
	    "    kind: EndpointPickerConfig\n    dataLayer: {crossReplica: ~}\n",
	    7, "in a document of inference.networking.x-k8s.io/v1alpha1",
	    "crossReplicaSyncerPluginRef" },
	/* Of other pickers: without effect, and read all the same. */
	{ DOC "    dataLayer:\n      crossReplicaSyncerPluginRef: redis\n", 8,
	    "no such name under plugins: redis", "it there" },
	{ DOC "    dataLayer:\n      peerDiscovery:\n"
	    "        pluginRef: k8s-peer-discovery\n", 9,
	    "no such name under plugins: k8s-peer-discovery",
	    "{type: k8s-peer-discovery} there too" },
	{ PLUGINS "    - type: redis-syncer\n    dataLayer:\n"
	    "      discovery: {peers: {pluginRef: redis-syncer}}\n", 10,
	    "a plugin of another kind: redis-syncer", "file-peer-discovery" },
	{ PLUGINS "    - type: k8s-peer-discovery\n    dataLayer:\n"
	    "      crossReplicaSyncerPluginRef: k8s-peer-discovery\n", 10,
	    "a plugin of another kind: k8s-peer-discovery", "redis-syncer" },
	{ DOC "    dataLayer:\n      crossReplicaSyncInterval: banana\n", 8,
	    "crossReplicaSyncInterval: banana", "a duration" },
	{ DOC "    dataLayer:\n      crossReplicaSyncInterval: ''\n", 8,
	    "crossReplicaSyncInterval: \"\"", "a duration" },
	{ DOC "    dataLayer:\n      crossReplicaPublishTimeout: 2\n", 8,
	    "crossReplicaPublishTimeout: 2", "a duration" },
	{ V1 "    dataLayer:\n      crossReplica:\n"
	    "        syncInterval: banana\n", 9, "syncInterval: banana",
	    "a duration" },
	{ V1 "    dataLayer:\n      crossReplica:\n"
	    "        publishTimeout: soon\n", 9, "publishTimeout: soon",
	    "a duration" },
	{ DOC "    requestHandler: {propagatePriority: maybe}\n", 7,
	    "propagatePriority: maybe", "true or false" },
	{ PLUGINS "    - type: queue-scorer\n"
	    "    saturationDetector: {pluginRef: queue-scorer}\n", 9,
	    "a plugin of another kind: queue-scorer",
	    "utilization-detector or concurrency-detector" },
	{ DOC "    saturationDetector: {pluginRef: concurrency-detector}\n", 7,
	    "no such name under plugins: concurrency-detector",
	    "{type: concurrency-detector} there too" },
	{ PLUGINS "    - {type: queue-scorer, name: utilization-detector}\n",
	    8, "a plugin of another kind: utilization-detector",
	    "utilization-detector or" },
	{ DOC "    saturationDetector: {pluginref: x}\n", 7,
	    "unknown key pluginref", "pluginRef" },
	/* Who waits. */
	{ DOC GATE "    flowControl:\n      maxRequest: 5\n", 9,
	    "flowControl with unknown key maxRequest", "maxRequests" },
	{ DOC GATE "    flowControl: 5\n", 8, "flowControl: 5", "a map" },
	{ DOC "    flowControl: {maxBytes: 1.5G}\n", 7, "maxBytes: 1.5G",
	    "a quantity" },
	{ DOC "    flowControl: {maxBytes: 1GiB}\n", 7, "maxBytes: 1GiB",
	    "a quantity" },
	{ DOC "    flowControl: {maxBytes: -1}\n", 7, "maxBytes: -1",
	    "a quantity" },
	{ DOC "    flowControl: {maxBytes: [1]}\n", 7, "maxBytes: a list",
	    "a quantity" },
	{ DOC "    flowControl: {maxBytes: 18446744073709551615k}\n", 7,
	    "maxBytes: 18446744073709551615k", "a quantity" },
	{ DOC "    flowControl: {maxBytes: 18446744073709551616}\n", 7,
	    "maxBytes: 18446744073709551616", "a quantity" },
	{ DOC "    flowControl: {maxBytes: k}\n", 7, "maxBytes: k",
	    "a quantity" },
	{ DOC "    flowControl: {maxBytes: ''}\n", 7, "maxBytes: \"\"",
	    "a quantity" },
	{ DOC "    flowControl: {maxBytes: 99999999999999999999999999999}\n", 7,
	    "maxBytes: 9999", "a quantity" },
	{ DOC "    flowControl: {defaultRequestTTL: 60}\n", 7,
	    "defaultRequestTTL: 60", "a duration" },
	{ DOC "    flowControl:\n      priorityBands:\n"
	    "      - {priority: 1}\n      - {priority: 2}\n"
	    "      - priority: 1\n", 11, "a second band of this priority",
	    "one each" },
	{ DOC "    flowControl:\n      priorityBands: [{priority: high}]\n", 8,
	    "priority: high", "a whole number" },
	{ DOC "    flowControl:\n      defaultPriorityBand:\n"
	    "        fairnessPolicyRef: round-robin-fairness-policy\n", 9,
	    "no such name under plugins: round-robin-fairness-policy",
	    "{type: round-robin-fairness-policy} there too" },
	{ PLUGINS "    - type: edf-ordering-policy\n    flowControl:\n"
	    "      defaultPriorityBand:\n"
	    "        fairnessPolicyRef: edf-ordering-policy\n", 11,
	    "a plugin of another kind: edf-ordering-policy",
	    "a fairness policy" },
	{ PLUGINS "    - type: queue-scorer\n    flowControl:\n"
	    "      priorityBands:\n"
	    "      - {orderingPolicyRef: queue-scorer}\n", 11,
	    "a plugin of another kind: queue-scorer", "an ordering policy" },
	{ PLUGINS "    - type: queue-scorer\n    flowControl:\n"
	    "      usageLimitPolicyPluginRef: queue-scorer\n", 10,
	    "a plugin of another kind: queue-scorer", "a usage limit policy" },
	{ DOC "    flowControl:\n      enableEviction: true\n", 8,
	    "enableEviction: true", "false: a request" },
	{ V1 "    flowControl:\n      endpointGatePluginRef: g\n", 8,
	    "endpointGatePluginRef: g", "no gate: " },
	{ DOC "    flowControl:\n      priorityBands:\n"
	    "      - {priority: 1, defaultRequestTTL: 9000}\n", 9,
	    "defaultRequestTTL: 9000", "a duration" },
	{ DOC "    flowControl:\n      saturationDetector:\n"
	    "        pluginRef: openai-parser\n", 9,
	    "no such name under plugins: openai-parser", "" },
	/* What the pool says too. */
	{ PLUGINS "    - type: approx-prefix-cache-producer\n"
	    "  prefix:\n    maxBytes: 1MiB\n    capacityTokens: 64\n", 11,
	    "capacityTokens, which the EndpointPickerConfig says too",
	    "one of them" },
	{ PLUGINS "    - type: utilization-detector\n"
	    "  saturation: {retryAfter: 2s, queueDepthThreshold: 5}\n", 9,
	    "queueDepthThreshold, which the EndpointPickerConfig says too",
	    "one of them" },
	{ PLUGINS "    - type: metrics-data-source\n"
	    "  metrics: {interval: 1s, path: /metrics}\n", 9,
	    "path, which the EndpointPickerConfig says too", "" },
	{ PLUGINS "    - type: metrics-data-source\n"
	    "      parameters: {interval: 1s}\n"
	    "  metrics: {interval: 1s}\n", 10,
	    "interval, which the EndpointPickerConfig says too", "" },
	{ PLUGINS "    - type: core-metrics-extractor\n"
	    "      parameters: {defaultEngine: vllm}\n  engine: vllm\n", 10,
	    "engine, which the EndpointPickerConfig says too", "" },
	{ DOC GATE "  flowControl: {maxRequests: 5}\n", 8,
	    "maxRequests, which the EndpointPickerConfig says too", "" },
	/* What does not fit together. */
	{ PLUGINS "    - type: utilization-detector\n      parameters:\n"
	    "        metricsStalenessThreshold: 49ms\n", 4,
	    "metricsStalenessThreshold below the interval", "several" },
	{ PLUGINS "    - type: metrics-data-source\n"
	    "      parameters: {interval: 3s}\n", 4,
	    "whose interval is above staleAfter", "staleAfter" },
	{ DOC "    dataLayer: {injectDefaults: false}\n" GATE, 2,
	    "utilization-detector and without metrics",
	    "concurrency-detector" },
	{ PLUGINS "    - type: concurrency-detector\n"
	    "    saturationDetector: {pluginRef: concurrency-detector}\n", 2,
	    "concurrency-detector and no feedback", "feedback: " },
};

static void test_what_is_wrong_says_where_and_what_would_be_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		expect_fault(bad[i].text, bad[i].line, bad[i].found,
		    bad[i].want);
}

/* Each beside one of the above. */
static const char *const good[] = {
	DOC,
	POOL "  scheduling: ~\n",
	POOL "  scheduling:\n"
	    "    apiVersion: inference.networking.x-k8s.io/v1alpha1\n"
	    "    kind: EndpointPickerConfig\n",
	V1,
	V1 "    requestHandler: {parsers: [{pluginRef: openai-parser}]}\n"
	    "    dataLayer: {discovery: {endpoints: {pluginRef: ''}, peers: ~},"
	    " crossReplica: {syncInterval: 1s, syncerPluginRef: ''}}\n"
	    "    flowControl: {endpointGatePluginRef: '', saturationDetector: {}}\n",
	DOC "    dataLayer: {discovery: {endpoints: {pluginRef: ''}, peers: ~,"
	    " pluginRef: ''}}\n",
	DOC "    plugins: []\n    schedulingProfiles: []\n    featureGates: []\n"
	    "    requestHandler: {}\n    dataLayer: {}\n    flowControl: {}\n"
	    "    saturationDetector: {}\n    parser: {}\n",
	DOC "    plugins: ~\n    schedulingProfiles: ~\n    featureGates: ~\n"
	    "    requestHandler: ~\n    dataLayer: ~\n    flowControl: ~\n",
	DOC "    schedulingProfiles: [{name: a}]\n",
	DOC "    featureGates: flowControl\n",
	DOC "    featureGates: [flowControl=TRUE, flowControl=false,"
	    " haPopulateNonLeaderDatastore=false]\n",
	DOC "    requestHandler: {parsers: [{pluginRef: sglanghttp-parser}]}\n",
	DOC "    parser: {pluginRef: openai-parser}\n",
	DOC "    saturationDetector: {pluginRef: utilization-detector}\n",
	DOC "    flowControl: {saturationDetector: {pluginRef: ''},"
	    " enableEviction: false, usageLimitPolicyPluginRef: ''}\n",
	DOC "    flowControl: {usageLimitPolicyPluginRef:"
	    " static-usage-limit-policy, defaultPriorityBand:"
	    " {fairnessPolicyRef: global-strict-fairness-policy,"
	    " orderingPolicyRef: fcfs-ordering-policy}}\n",
	DOC "    dataLayer: {discovery: {pluginRef: ''}, peerDiscovery:"
	    " {pluginRef: ''}, crossReplicaSyncerPluginRef: '',"
	    " crossReplicaSyncInterval: 200ms, crossReplicaPublishTimeout:"
	    " 1s}\n",
	PLUGINS "    - {type: queue-scorer, name: ''}\n",
	PLUGINS "    - {type: queue-scorer, parameters: {}}\n",
	PLUGINS "    - {type: queue-scorer, parameters: ~}\n",
	PLUGINS "    - {type: openai-parser, parameters: {any: [thing]}}\n",
	PLUGINS "    - {type: queue-scorer, name: a}\n"
	    "    - {type: queue-scorer, name: b}\n",
	PLUGINS "    - {type: queue-scorer, name: max-score-picker}\n",
	PLUGINS "    - type: prefix-cache-scorer\n      parameters:"
	    " {prefixMatchInfoProducerName: approx-prefix-cache-producer}\n",
	PLUGINS "    - type: prefix-cache-scorer\n      parameters:"
	    " {prefixMatchInfoProducerName: mine}\n"
	    "    - {type: approx-prefix-cache-producer, name: mine}\n",
	PLUGINS "    - type: prefix-cache-scorer\n      parameters:"
	    " {prefixMatchInfoProducerName: '', matchLengthWeight: 1}\n",
	PLUGINS "    - type: active-request-scorer\n      parameters:"
	    " {inFlightLoadProducerName: inflight-load-producer}\n"
	    "    - type: token-load-scorer\n      parameters:"
	    " {inFlightLoadProducerName: mine, queueThresholdTokens: 5}\n"
	    "    - {type: inflight-load-producer, name: mine}\n"
	    "    - type: no-hit-lru-scorer\n      parameters:"
	    " {prefixPluginName: approx-prefix-cache-producer,"
	    " prefixMatchInfoProducerName: approx-prefix-cache-producer}\n"
	    "    - type: latency-scorer\n      parameters:"
	    " {prefixMatchInfoProducerName: approx-prefix-cache-producer,"
	    " latencyPredictionInfoProducerName: predicted-latency-producer}\n"
	    "    - type: topology-affinity-scorer\n      parameters:"
	    " {topologyProducerName: topology-extractor}\n",
	PLUGINS "    - type: metrics-data-source\n      parameters:"
	    " {clientCertPath: '', clientKeyPath: '', caCertPath: ''}\n",
	PLUGINS "    - type: core-metrics-extractor\n      parameters:"
	    " {engineLabelKey: '', defaultEngine: ''}\n  engine: sglang\n",
	PLUGINS "    - type: approx-prefix-cache-producer\n"
	    "  prefix: {maxBytes: 1MiB}\n",
	PLUGINS "    - type: utilization-detector\n"
	    "  saturation: {retryAfter: 2s}\n",
	PLUGINS "    - type: metrics-data-source\n  metrics: {enabled: true,"
	    " interval: 1s, timeout: 2s, staleAfter: 5s, maxBytes: 1MiB}\n",
	PLUGINS "    - type: metrics-data-source\n      parameters:"
	    " {interval: 3s}\n  metrics: {staleAfter: 5s}\n",
	DOC "    flowControl: {maxRequests: 5}\n  flowControl: {enabled: true}\n",
	DOC "    dataLayer: {injectDefaults: false}\n",
};

static void test_what_fits_together_is_taken(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		options_free(parse(good[i]));
}

/* ---- the profile ---- */

static const struct profile *profile_of(const struct options *o)
{
	assert_non_null(o->pools[0].scheduling);
	assert_ptr_equal(o->pools[0].schedule,
	    o->pools[0].scheduling->schedule);
	return o->pools[0].schedule->profiles;
}

static void expect_scorer(const struct profile *p, size_t i, const char *name,
    float weight)
{
	assert_true(i < p->n_scorers);
	assert_string_equal(p->scorers[i].scorer->name, name);
	assert_float_equal(p->scorers[i].weight, weight, 0);
}

/* Everything that llm-d's own sample has. */
static const char sample[] =
    DOC
    "    featureGates: [flowControl]\n"			/* line 7 */
    "    plugins:\n"
    "    - type: token-producer\n"
    "    - type: approx-prefix-cache-producer\n"		/* 10 */
    "      parameters: {autoTune: true, blockSizeTokens: 64,"
    " maxPrefixTokensToMatch: 131072, lruCapacityPerServer: 31250}\n"
    "    - type: inflight-load-producer\n"
    "    - name: affinity\n"
    "      type: prefix-cache-affinity-filter\n"
    "      parameters: {affinityThreshold: 0.8, maxTTFTPenaltyMs: 18000,"
    " peakPrefillThroughput: 15928}\n"			/* 15 */
    "    - type: token-load-scorer\n"
    "    - type: queue-scorer\n"
    "    - type: max-score-picker\n"
    "      parameters: {maxNumOfEndpoints: 1}\n"
    "    - type: single-profile-handler\n"		/* 20 */
    "    - type: metrics-data-source\n"
    "      parameters: {scheme: http, path: /metrics,"
    " insecureSkipVerify: true}\n"
    "    - type: core-metrics-extractor\n"
    "      parameters: {defaultEngine: vllm}\n"
    "    - type: utilization-detector\n"			/* 25 */
    "      parameters: {queueDepthThreshold: 5, kvCacheUtilThreshold: 0.8,"
    " metricsStalenessThreshold: 200ms, headroom: 0}\n"
    "    schedulingProfiles:\n"
    "    - name: default\n"
    "      plugins:\n"
    "      - {pluginRef: affinity}\n"			/* 30 */
    "      - {pluginRef: token-load-scorer, weight: 1}\n"
    "      - {pluginRef: queue-scorer, weight: 0.25}\n"
    "    requestHandler:\n"
    "      parsers: [{pluginRef: openai-parser},"
    " {pluginRef: passthrough-parser}]\n"
    "    dataLayer:\n"					/* 35 */
    "      injectDefaults: true\n"
    "      sources:\n"
    "      - pluginRef: metrics-data-source\n"
    "        extractors: [{pluginRef: core-metrics-extractor}]\n"
    "      discovery: {pluginRef: \"\"}\n"		/* 40 */
    "      peerDiscovery: {pluginRef: \"\"}\n"
    "      crossReplicaSyncerPluginRef: \"\"\n"
    "      crossReplicaSyncInterval: 200ms\n"
    "    flowControl:\n"
    "      maxRequests: 0\n"
    "      maxBytes: 0\n"
    "      defaultRequestTTL: 60s\n"
    "      noEndpointRequestTTL: 60s\n"
    "      defaultPriorityBand: {maxRequests: 5000, maxBytes: 1G,"
    " fairnessPolicyRef: global-strict-fairness-policy,"
    " orderingPolicyRef: fcfs-ordering-policy}\n"
    "      defaultNegativePriorityBand: {}\n"
    "      priorityBands: [{priority: 100, maxRequests: 5000,"
    " maxBytes: 1G}]\n"
    "      usageLimitPolicyPluginRef: static-usage-limit-policy\n"
    "      saturationDetector: {pluginRef: utilization-detector}\n"
    "      enableEviction: false\n";

static void test_a_profile_is_what_it_refers_to_in_its_order(void **state)
{
	struct options *o = parse(sample);
	const struct profile *p = profile_of(o);

	(void)state;
	assert_string_equal(p->name, "default");
	assert_int_equal(p->n_filters, 1);
	assert_string_equal(p->filters[0].filter->name,
	    "prefix-cache-affinity-filter");
	assert_non_null(p->filters[0].params);
	assert_int_equal(p->n_scorers, 2);
	expect_scorer(p, 0, "token-load-scorer", 1);
	expect_scorer(p, 1, "queue-scorer", .25f);
	assert_non_null(p->scorers[0].params);
	assert_null(p->scorers[1].params);
	/* It names no picker: the one that is listed. */
	assert_string_equal(p->picker->name, "max-score-picker");
	assert_non_null(p->picker_params);
	options_free(o);
}

/* Two of one type differ in their parameters, and one is used twice. */
static void test_plugins_are_known_by_name_not_by_type(void **state)
{
	struct options *o = parse(DOC
	    "    plugins:\n"
	    "    - {type: prefix-cache-scorer, name: near, parameters:"
	    " {matchLengthScaleTokens: 100}}\n"
	    "    - {type: prefix-cache-scorer, name: far, parameters:"
	    " {matchLengthScaleTokens: 200}}\n"
	    "    - {type: queue-scorer, name: max-score-picker}\n"
	    "    schedulingProfiles:\n"
	    "    - name: mine\n"
	    "      plugins:\n"
	    "      - {pluginRef: far, weight: 3}\n"
	    "      - pluginRef: near\n"
	    "      - {pluginRef: far, weight: 0}\n"
	    "      - {pluginRef: max-score-picker, weight: 4}\n");
	const struct profile *p = profile_of(o);

	(void)state;
	assert_string_equal(p->name, "mine");
	assert_int_equal(p->n_scorers, 4);
	expect_scorer(p, 0, "prefix-cache-scorer", 3);
	expect_scorer(p, 1, "prefix-cache-scorer", 1);
	expect_scorer(p, 2, "prefix-cache-scorer", 0);
	expect_scorer(p, 3, "queue-scorer", 4);
	assert_ptr_equal(p->scorers[0].params, p->scorers[2].params);
	assert_ptr_not_equal(p->scorers[0].params, p->scorers[1].params);
	assert_ptr_equal(p->picker, picker_find("max-score-picker"));
	options_free(o);
}

/* What llm-d's chart does with its producer of latencies. */
static void test_a_producer_in_a_profile_does_no_harm(void **state)
{
	struct options *o = parse(DOC
	    "    plugins: [{type: predicted-latency-producer},"
	    " {type: queue-scorer}]\n"
	    "    schedulingProfiles:\n    - name: a\n      plugins:"
	    " [{pluginRef: predicted-latency-producer},"
	    " {pluginRef: queue-scorer}]\n");

	(void)state;
	assert_int_equal(profile_of(o)->n_filters, 0);
	assert_int_equal(profile_of(o)->n_scorers, 1);
	options_free(o);
}

static void test_without_profiles_all_that_is_listed_decides(void **state)
{
	struct options *o = parse(DOC
	    "    plugins:\n"
	    "    - type: decode-filter\n"
	    "    - type: openai-parser\n"
	    "    - {type: kv-cache-utilization-scorer, name: kv}\n"
	    "    - type: random-picker\n"
	    "    - type: queue-scorer\n");
	const struct profile *p = profile_of(o);

	(void)state;
	assert_string_equal(p->name, "default");
	assert_int_equal(p->n_filters, 1);
	assert_int_equal(p->n_scorers, 2);
	expect_scorer(p, 0, "kv-cache-utilization-scorer", 1);
	expect_scorer(p, 1, "queue-scorer", 1);
	assert_string_equal(p->picker->name, "random-picker");
	options_free(o);
}

/* llm-d: a type may be both, and is asked in both of its parts. */
static void test_what_is_filter_and_scorer_is_both(void **state)
{
	struct options *o = parse(DOC
	    "    plugins: [{type: context-length-aware, parameters:"
	    " {label: l, enableFiltering: true}}]\n");
	const struct profile *p = profile_of(o);

	(void)state;
	assert_int_equal(p->n_filters, 1);
	assert_int_equal(p->n_scorers, 1);
	assert_string_equal(p->filters[0].filter->name, "context-length-aware");
	expect_scorer(p, 0, "context-length-aware", 1);
	assert_non_null(p->filters[0].params);
	assert_non_null(p->scorers[0].params);
	options_free(o);
}

static void test_of_nothing_comes_what_we_do_without_a_document(void **state)
{
	static const char *const texts[] = {
		DOC,
		DOC "    plugins: [{type: openai-parser}]\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct options *o = parse(texts[i]);

		assert_ptr_equal(profile_of(o)->scorers,
		    profile_default.scorers);
		assert_ptr_equal(profile_of(o)->picker, profile_default.picker);
		options_free(o);
	}
	/* An empty profile is meant to be one: chance decides. */
	struct options *o = parse(DOC "    schedulingProfiles: [{name: a}]\n");

	assert_int_equal(profile_of(o)->n_scorers, 0);
	assert_string_equal(profile_of(o)->picker->name, "max-score-picker");
	options_free(o);
}

static void test_every_plugin_can_be_listed(void **state)
{
	/* What has parameters that nobody can guess. */
	static const struct {
		const char *type, *params;
	} required[] = {
		{ "header-label-affinity-scorer",
		    "{headerName: h, labelKey: l}" },
		{ "by-label", "{label: l, validValues: [v]}" },
		{ "label-selector-filter", "{matchLabels: {l: v}}" },
		{ "by-label-selector", "{matchLabels: {l: v}}" },
		{ "utilization-filter",
		    "{conditions: [{metric: waiting-queue, maxValue: 5}]}" },
		{ "endpoint-attribute-filter",
		    "{attribute: a, algorithm: {type: threshold, threshold:"
		    " {operator: LessThan, value: 1}}}" },
		{ "endpoint-attribute-scorer", "{attributeKey: a, algorithm:"
		    " {type: linear_lower_is_better}}" },
		{ "disagg-profile-handler", "{profiles: {decode: a}}" },
		{ "pd-profile-handler", "{decodeProfile: a, deciderPluginName:"
		    " always}" },
	};
	const char *names[256];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; filter_at(i) != NULL; i++)
		names[n++] = filter_at(i)->name;
	for (size_t i = 0; scorer_at(i) != NULL; i++)
		names[n++] = scorer_at(i)->name;
	for (size_t i = 0; picker_at(i) != NULL; i++)
		names[n++] = picker_at(i)->name;
	for (size_t i = 0; handler_at(i) != NULL; i++)
		names[n++] = handler_at(i)->name;
	for (size_t i = 0; decider_at(i) != NULL; i++)
		names[n++] = decider_at(i)->name;
	for (size_t i = 0; other_type_at(i) != NULL; i++)
		names[n++] = other_type_at(i)->name;
	for (size_t i = 0; i < n; i++) {
		const char *params = "{}";
		char text[1024];
		struct options *o;

		for (size_t k = 0; k < sizeof(required) / sizeof(*required); k++)
			if (strcmp(required[k].type, names[i]) == 0)
				params = required[k].params;
		snprintf(text, sizeof(text), DOC
		    "    plugins: [{type: %s, parameters: %s}, {name: always,"
		    " type: always-disagg-pd-decider}]\n"
		    "    schedulingProfiles: [{name: a, plugins:"
		    " [{pluginRef: %s}]}]\n", names[i], params, names[i]);
		o = parse(text);
		assert_true(o->pools[0].scheduling->n_lines > 0);
		options_free(o);
	}
}

/* ---- the report ---- */

static const char *report_of(const struct options *o)
{
	static char text[16384];
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_non_null(out);
	text[0] = '\0';
	picker_config_report(o->pools[0].scheduling, out);
	fclose(out);
	return text;
}

static const char *differs_of(const char *type)
{
	const struct filter *f = filter_find(type);
	const struct scorer *s = scorer_find(type);

	return f != NULL ? f->differs : s != NULL ? s->differs :
	    picker_find(type)->differs;
}

static void expect_report(const char *doc, const char *want)
{
	struct options *o = parse(doc);
	char text[4096], type[64] = "";
	const char *at = strchr(want, '@'), *end;

	if (at != NULL) {
		end = strchr(at + 1, '@');
		snprintf(type, sizeof(type), "%.*s", (int)(end - at - 1), at + 1);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - want), want,
		    differs_of(type), end + 1);
	}
	assert_string_equal(report_of(o), at != NULL ? text : want);
	options_free(o);
}

#define WAITS "requests wait in HAProxy, whose `timeout processing` must be " \
	"above the times to live"

static void test_the_report_goes_down_the_document(void **state)
{
	struct options *o = parse(sample);
	const struct migration_line *l = o->pools[0].scheduling->lines;
	static const struct {
		unsigned line;
		enum migration verdict;
		const char *what;
	} want[] = {
		{ 7, MIGRATION_APPROXIMATE, "flowControl" },
		{ 9, MIGRATION_APPROXIMATE, "token-producer" },
		{ 10, MIGRATION_APPROXIMATE, "approx-prefix-cache-producer" },
		{ 12, MIGRATION_APPROXIMATE, "inflight-load-producer" },
		{ 14, MIGRATION_APPROXIMATE, "prefix-cache-affinity-filter" },
		{ 16, MIGRATION_APPROXIMATE, "token-load-scorer" },
		{ 17, MIGRATION_APPROXIMATE, "queue-scorer" },
		{ 18, MIGRATION_APPROXIMATE, "max-score-picker" },
		{ 20, MIGRATION_EXACT, "single-profile-handler" },
		{ 21, MIGRATION_EXACT, "metrics-data-source" },
		{ 23, MIGRATION_APPROXIMATE, "core-metrics-extractor" },
		{ 25, MIGRATION_APPROXIMATE, "utilization-detector" },
		{ 35, MIGRATION_APPROXIMATE, "dataLayer" },
		{ 44, MIGRATION_EXACT, "flowControl" },
	};

	(void)state;
	assert_int_equal(o->pools[0].scheduling->n_lines,
	    sizeof(want) / sizeof(*want));
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		assert_int_equal(l[i].line, want[i].line);
		assert_int_equal(l[i].verdict, want[i].verdict);
		assert_string_equal(l[i].what, want[i].what);
	}
	options_free(o);
}

/* @TYPE@ is what the plugin of that type says of itself. */
static const struct {
	const char *doc, *want;
} reports[] = {
	{ DOC, "f:4: approximate: no filter, scorer or picker: queue-scorer 2, "
	    "kv-cache-utilization-scorer 2, prefix-cache-scorer 3; llm-d picks "
	    "at random\n" },
	{ PLUGINS "    - type: prefix-cache-scorer\n"
	    "    - type: random-picker\n",
	    "f:8: exact: prefix-cache-scorer\nf:9: exact: random-picker\n" },
	/* What is there by default says so, where its profile stands. */
	{ PLUGINS "    - type: prefix-cache-scorer\n"
	    "    schedulingProfiles:\n    - name: a\n",
	    "f:8: exact: prefix-cache-scorer\n"
	    "f:10: approximate: max-score-picker, by default: "
	    "@max-score-picker@\n" },
	/* Of one line, in the order in which it is written. */
	{ DOC "    plugins: [{type: vllmgrpc-parser}, {type: random-picker},"
	    " {type: openai-parser}]\n",
	    "f:7: not honoured: vllmgrpc-parser: its requests are picked "
	    "without their prompt\n"
	    "f:7: exact: random-picker\nf:7: exact: openai-parser\n" },
	/* Gates. */
	{ DOC "    plugins: [{type: random-picker}]\n    featureGates:\n"
	    "    - flowControl\n    - haPopulateNonLeaderDatastore\n",
	    "f:7: exact: random-picker\n"
	    "f:9: approximate: flowControl: " WAITS "\n"
	    "f:10: not honoured: haPopulateNonLeaderDatastore: there is no "
	    "leader: every agent serves\n" },
	{ DOC "    plugins: [{type: random-picker}]\n"
	    "    featureGates: [flowControl=false]\n"
	    "    flowControl: {maxRequests: 5}\n",
	    "f:7: exact: random-picker\nf:8: exact: flowControl\n"
	    "f:9: not honoured: flowControl: the feature gate is off\n" },
	/* llm-d minds the detector whatever the gate says. */
	{ DOC "    plugins: [{type: random-picker}]\n"
	    "    flowControl: {saturationDetector: {}}\n",
	    "f:7: exact: random-picker\n" },
	{ DOC "    plugins: [{type: random-picker}]\n" GATE
	    "    flowControl: {defaultRequestTTL: 0s}\n",
	    "f:7: exact: random-picker\n"
	    "f:8: approximate: flowControl: " WAITS "\n"
	    "f:9: approximate: flowControl: 0s, or more than an hour, is "
	    "an hour\n" },
	/* Of some kinds the pool takes one. */
	{ PLUGINS "    - type: random-picker\n"
	    "    - {type: metrics-data-source, name: a}\n"
	    "    - {type: metrics-data-source, name: b}\n"
	    "    - {type: metrics-data-source, name: c}\n"
	    "    dataLayer: {sources: [{pluginRef: b}, {pluginRef: c}]}\n",
	    "f:8: exact: random-picker\n"
	    "f:9: exact: metrics-data-source: nothing refers to it\n"
	    "f:10: exact: metrics-data-source\n"
	    "f:11: not honoured: metrics-data-source: another one of its kind "
	    "is used\n"
	    "f:12: approximate: dataLayer: endpoints come from the pool's own "
	    "source\n" },
	{ PLUGINS "    - type: random-picker\n"
	    "    - type: approx-prefix-cache-producer\n"
	    "    - {type: approx-prefix-cache-producer, name: b}\n",
	    "f:8: exact: random-picker\n"
	    "f:9: approximate: approx-prefix-cache-producer: the same hashes; "
	    "leaves are evicted before roots, and insertion does not lag\n"
	    "f:10: not honoured: approx-prefix-cache-producer: another one of "
	    "its kind is used\n" },
	/* So who reads another's is told. */
	{ PLUGINS "    - {type: approx-prefix-cache-producer, name: gpu}\n"
	    "    - {type: approx-prefix-cache-producer, name: cpu}\n"
	    "    - {type: prefix-cache-scorer, name: a, parameters:"
	    " {prefixMatchInfoProducerName: gpu}}\n"
	    "    - {type: prefix-cache-scorer, name: b, parameters:"
	    " {prefixMatchInfoProducerName: cpu}}\n"
	    "    - {type: no-hit-lru-scorer, parameters:"
	    " {prefixMatchInfoProducerName: cpu}}\n"
	    "    - type: random-picker\n",
	    "f:8: approximate: approx-prefix-cache-producer: the same hashes; "
	    "leaves are evicted before roots, and insertion does not lag\n"
	    "f:9: not honoured: approx-prefix-cache-producer: another one of "
	    "its kind is used\n"
	    "f:10: exact: prefix-cache-scorer\n"
	    "f:11: approximate: prefix-cache-scorer: a pool has one prefix "
	    "index: it reads that one, not its producer's\n"
	    "f:12: approximate: no-hit-lru-scorer: a pool has one prefix "
	    "index: it reads that one, not its producer's; "
	    "@no-hit-lru-scorer@\n"
	    "f:13: exact: random-picker\n" },
	/* A detector is the pool's, or a filter, or both. */
	{ PLUGINS "    - type: random-picker\n"
	    "    - type: concurrency-detector\n"
	    "    - type: utilization-detector\n"
	    "    schedulingProfiles:\n    - name: a\n      plugins:\n"
	    "      - pluginRef: utilization-detector\n",
	    "f:8: exact: random-picker\n"
	    "f:9: exact: concurrency-detector: nothing refers to it\n"
	    "f:10: approximate: utilization-detector: @utilization-detector@\n"
	    "f:10: approximate: utilization-detector: requests sent since the "
	    "last scrape count as waiting\n" },
	{ PLUGINS "    - type: random-picker\n"
	    "    - type: concurrency-detector\n"
	    "    schedulingProfiles:\n    - name: a\n      plugins:\n"
	    "      - pluginRef: concurrency-detector\n",
	    "f:8: exact: random-picker\n"
	    "f:9: approximate: concurrency-detector: "
	    "@concurrency-detector@\n" },
	/* Of llm-d's guides: what has no effect, and what is done otherwise. */
	{ PLUGINS "    - type: mm-embeddings-cache-scorer\n"
	    "    - type: random-picker\n"
	    "    - {type: program-aware-fairness, parameters: {strategy: las}}\n"
	    "    - type: prefix-cache-scorer\n      parameters:"
	    " {prefixMatchInfoProducerName: burst-prefix-cache-producer}\n"
	    "    schedulingProfiles:\n    - name: a\n      plugins:\n"
	    "      - {pluginRef: mm-embeddings-cache-scorer, weight: 10}\n"
	    "      - pluginRef: prefix-cache-scorer\n" GATE
	    "    flowControl: {defaultPriorityBand: {fairnessPolicyRef:"
	    " program-aware-fairness}}\n",
	    "f:8: not honoured: mm-embeddings-cache-scorer: images are not "
	    "matched: the other scorers of its profile decide\n"
	    "f:9: exact: random-picker\n"
	    "f:10: approximate: program-aware-fairness: fairness ids take "
	    "turns, whatever each was served before\n"
	    "f:11: exact: prefix-cache-scorer\n"
	    "f:18: approximate: flowControl: " WAITS "\n"
	    "f:19: exact: flowControl\n" },
	{ PLUGINS "    - type: random-picker\n"
	    "    - {type: token-producer, name: a, parameters: {estimate: {}}}\n"
	    "    - {type: token-producer, name: b, parameters: {estimate: {image:"
	    " {mode: dynamic}}}}\n",
	    "f:8: exact: random-picker\n"
	    "f:9: approximate: token-producer: tokens are estimated, 4 bytes "
	    "each, as its `estimate` backend\n"
	    "f:10: approximate: token-producer: tokens are estimated, 4 bytes "
	    "each; an image or a video counts as a few, whatever its size\n" },
	/* A ceiling of 1 is what we have. */
	{ PLUGINS "    - type: random-picker\n"
	    "    - type: static-usage-limit-policy\n"
	    "    - {type: static-usage-limit-policy, name: b, parameters:"
	    " {threshold: 0.5}}\n",
	    "f:8: exact: random-picker\n"
	    "f:9: exact: static-usage-limit-policy\n"
	    "f:10: not honoured: static-usage-limit-policy: the ceiling is 1.0 "
	    "for every band\n" },
	{ PLUGINS "    - type: random-picker\n"
	    "    - {type: file-peer-discovery, name: x, parameters:"
	    " {path: /peers}}\n"
	    "    - {type: redis-state-store, name: y, parameters: {address:"
	    " 'r:6379'}}\n"
	    "    dataLayer:\n"
	    "      peerDiscovery: {pluginRef: x}\n"
	    "      crossReplicaSyncerPluginRef: y\n",
	    "f:8: exact: random-picker\n"
	    "f:9: not honoured: file-peer-discovery: agents know nothing of "
	    "each other\n"
	    "f:10: not honoured: redis-state-store: agents know nothing of "
	    "each other\n"
	    "f:11: approximate: dataLayer: endpoints come from the pool's own "
	    "source\n"
	    "f:12: not honoured: peerDiscovery: agents know nothing of each "
	    "other\n"
	    "f:13: not honoured: crossReplicaSyncerPluginRef: agents know "
	    "nothing of each other\n" },
	/* The same in llm-d.ai/v1, and what only that has. */
	{ V1 "    plugins: [{type: random-picker}, {type: file-discovery},\n"
	    "      {type: k8s-peer-discovery}, {type: redis-syncer}]\n"
	    "    dataLayer:\n"
	    "      discovery: {endpoints: {pluginRef: file-discovery},\n"
	    "        peers: {pluginRef: k8s-peer-discovery}}\n"
	    "      crossReplica:\n"
	    "        syncInterval: 1s\n"
	    "        publishTimeout: 1s\n"
	    "        syncerPluginRef: redis-syncer\n"
	    "    requestHandler:\n"
	    "      propagatePriority: true\n",
	    "f:7: exact: random-picker\n"
	    "f:7: not honoured: file-discovery: endpoints come from the pool's "
	    "own source\n"
	    "f:8: not honoured: k8s-peer-discovery: agents know nothing of each "
	    "other\n"
	    "f:8: not honoured: redis-syncer: agents know nothing of each "
	    "other\n"
	    "f:9: approximate: dataLayer: endpoints come from the pool's own "
	    "source\n"
	    "f:11: not honoured: discovery.peers: agents know nothing of each "
	    "other\n"
	    "f:15: not honoured: crossReplica.syncerPluginRef: agents know "
	    "nothing of each other\n"
	    "f:17: not honoured: propagatePriority: bodies are forwarded as "
	    "they are\n" },
	{ DOC "    plugins: [{type: random-picker}]\n" GATE
	    "    flowControl: {priorityBands: [{priority: 1,"
	    " defaultRequestTTL: 9000s}]}\n",
	    "f:7: exact: random-picker\n"
	    "f:8: approximate: flowControl: " WAITS "\n"
	    "f:9: approximate: flowControl: 0s, or more than an hour, is "
	    "an hour\n" },
};

static void test_each_line_says_what_becomes_of_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(reports) / sizeof(*reports); i++)
		expect_report(reports[i].doc, reports[i].want);
}

/* As many as there may be, each with all the lines that it can have. */
static void test_the_report_has_room_for_the_longest_document(void **state)
{
	struct fault why = { 0 };
	struct buf text;
	struct options *o;

	(void)state;
	buf_init(&text, 64 << 10);
	buf_puts(&text, PLUGINS);
	buf_puts(&text, "    - {type: header-profile-handler, parameters:"
	    " {defaultProfile: p0}}\n");
	buf_puts(&text, "    - {type: precise-prefix-cache-scorer, name: s}\n"
	    "    - {type: file-peer-discovery, name: f}\n"
	    "    - {type: redis-syncer, name: r}\n");
	for (int i = 4; i < 128; i++)
		buf_printf(&text, "    - {type: utilization-detector, name: "
		    "n%d}\n", i);
	buf_puts(&text, "    saturationDetector: {pluginRef: n127}\n"
	    "    requestHandler: {propagatePriority: true}\n"
	    "    flowControl: {maxBytes: 1}\n    dataLayer: {peerDiscovery:"
	    " {pluginRef: f}, discovery: {peers: {pluginRef: f}},"
	    " crossReplicaSyncerPluginRef: r}\n    featureGates:\n");
	for (int i = 0; i < 16; i++)
		buf_puts(&text, "    - haPopulateNonLeaderDatastore\n");
	buf_puts(&text, "    schedulingProfiles:\n    - {name: p0, plugins:"
	    " [{pluginRef: s}, {pluginRef: n127}]}\n");
	for (int i = 1; i < 16; i++)
		buf_printf(&text, "    - {name: p%d}\n", i);
	o = options_parse("f", buf_span(&text), &why);
	assert_non_null(o);
	/* Entries, two of them twice; keys and sections; gates; pickers. */
	assert_int_equal(o->pools[0].scheduling->n_lines,
	    128 + 2 + 6 + 16 + 16);
	options_free(o);
	buf_fini(&text);
}

/* ---- into the pool ---- */

static void test_what_a_document_does_not_say_is_the_pools(void **state)
{
	struct options *o = parse(DOC
	    "  engine: sglang\n"
	    "  prefix: {blockSizeTokens: 32}\n"
	    "  saturation: {queueDepthThreshold: 9}\n"
	    "  metrics: {path: /m, interval: 70ms}\n"
	    "  flowControl: {enabled: true, maxRequests: 3}\n");
	const struct pool_options *p = &o->pools[0];

	(void)state;
	assert_string_equal(p->engine, "sglang");
	assert_int_equal(p->prefix.block_tokens, 32);
	assert_float_equal(p->saturation.queue_depth, 9, 0);
	assert_string_equal(p->scrape.path, "/m");
	assert_int_equal(p->scrape.interval_ms, 70);
	assert_true(p->flow.enabled);
	assert_int_equal(p->flow.queue.max_requests, 3);
	options_free(o);
}

static void test_without_the_key_nothing_is_scheduled_by(void **state)
{
	struct options *o = parse(POOL "  scheduling: ~\n");

	(void)state;
	assert_null(o->pools[0].schedule);
	assert_null(o->pools[0].scheduling);
	options_free(o);
}

/*
 * By hand from GetBlockSize(), resolveMaxBlocks() and makeserver(): blocks are of 64
 * tokens at least; a cap in tokens wins over one in blocks, and both 0 is none, for
 * which we have 2^27; capacity is in blocks.
 */
static const struct {
	const char *params;
	uint32_t block_tokens, max_match_tokens, capacity_tokens;
	bool auto_tune;
} prefixes[] = {
	{ "{}", 64, 131072, 31250 * 64, true },
	{ "{autoTune: false}", 64, 131072, 31250 * 64, false },
	{ "{blockSizeTokens: 0}", 64, 131072, 31250 * 64, true },
	{ "{blockSizeTokens: 63}", 64, 131072, 31250 * 64, true },
	{ "{blockSizeTokens: 65}", 65, 131072, 31250 * 65, true },
	{ "{blockSizeTokens: 1024}", 1024, 131072, 31250 * 1024, true },
	{ "{blockSize: 128}", 128, 131072, 31250 * 128, true },
	{ "{blockSize: 128, blockSizeTokens: 256}", 256, 131072, 31250 * 256,
	    true },
	{ "{lruCapacityPerServer: 100}", 64, 131072, 6400, true },
	{ "{lruCapacityPerServer: 0}", 64, 131072, 31250 * 64, true },
	{ "{lruCapacityPerServer: 4294967295}", 64, 131072, UINT32_MAX, true },
	{ "{maxPrefixTokensToMatch: 100000}", 64, 100000, 31250 * 64, true },
	{ "{maxPrefixTokensToMatch: 0}", 64, 2048 * 64, 31250 * 64, true },
	{ "{maxPrefixTokensToMatch: 0, maxPrefixBlocksToMatch: 10,"
	    " blockSizeTokens: 100}", 100, 1000, 31250 * 100, true },
	{ "{maxPrefixTokensToMatch: 0, maxPrefixBlocksToMatch: 0}", 64,
	    1 << 27, 31250 * 64, true },
	{ "{maxPrefixTokensToMatch: 4294967295}", 64, 1 << 27, 31250 * 64,
	    true },
	{ "{maxPrefixTokensToMatch: 0, maxPrefixBlocksToMatch: 4294967295}",
	    64, 1 << 27, 31250 * 64, true },
};

static void test_the_prefix_index_is_what_the_producer_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		const struct prefix_options *p;
		struct options *o;
		char text[1024];

		snprintf(text, sizeof(text), DOC "    plugins: [{type:"
		    " approx-prefix-cache-producer, parameters: %s}]\n"
		    "  prefix: {maxBytes: 1MiB}\n", prefixes[i].params);
		o = parse(text);
		p = &o->pools[0].prefix;
		assert_int_equal(p->block_tokens, prefixes[i].block_tokens);
		assert_int_equal(p->max_match_tokens,
		    prefixes[i].max_match_tokens);
		assert_int_equal(p->capacity_tokens,
		    prefixes[i].capacity_tokens);
		assert_int_equal(p->auto_tune, prefixes[i].auto_tune);
		assert_int_equal(p->max_bytes, 1 << 20);
		options_free(o);
	}
}

static const char detectors[] =
    PLUGINS
    "    - type: utilization-detector\n"
    "      parameters: {queueDepthThreshold: 7, kvCacheUtilThreshold: 0.5,"
    " metricsStalenessThreshold: 300ms, headroom: 0.2}\n"
    "    - {name: c, type: concurrency-detector, parameters: {maxConcurrency:"
    " 8, maxTokenConcurrency: 9, concurrencyMode: tokens, headroom: 1}}\n"
    "    %s\n"
    "  saturation: {retryAfter: 3s}\n"
    FEEDBACK;

/* Who refers to which: the newer key wins, the default's name is the default. */
static const struct {
	const char *text;
	enum detector want;
} detector_refs[] = {
	{ "", DETECTOR_UTILIZATION },
	{ "saturationDetector: {}", DETECTOR_UTILIZATION },
	{ "saturationDetector: {pluginRef: utilization-detector}",
	    DETECTOR_UTILIZATION },
	{ "saturationDetector: {pluginRef: c}", DETECTOR_CONCURRENCY },
	{ "flowControl: {saturationDetector: {pluginRef: c}}",
	    DETECTOR_CONCURRENCY },
	{ "flowControl: {saturationDetector: {pluginRef: ''}}",
	    DETECTOR_UTILIZATION },
};

static void test_saturation_is_by_the_detector_that_is_referred_to(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(detector_refs) / sizeof(*detector_refs);
	     i++) {
		const struct saturation_options *s;
		struct options *o;
		char text[1024];

		snprintf(text, sizeof(text), detectors, detector_refs[i].text);
		o = parse(text);
		s = &o->pools[0].saturation;
		assert_int_equal(s->detector, detector_refs[i].want);
		assert_int_equal(s->retry_after_s, 3);
		if (s->detector == DETECTOR_UTILIZATION) {
			assert_float_equal(s->queue_depth, 7, 0);
			assert_float_equal(s->kv_used, .5f, 0);
			assert_int_equal(s->stale_ms, 300);
		} else {
			assert_int_equal(s->max_concurrency, 8);
			assert_int_equal(s->max_token_concurrency, 9);
			assert_int_equal(s->mode, CONCURRENCY_TOKENS);
		}
		options_free(o);
	}
}

/* The older key is heard when the newer one is silent, and only then. */
static void test_the_newer_key_of_the_detector_wins(void **state)
{
	struct options *o = parse(PLUGINS
	    "    - {name: a, type: utilization-detector, parameters:"
	    " {queueDepthThreshold: 11}}\n"
	    "    - {name: b, type: utilization-detector, parameters:"
	    " {queueDepthThreshold: 12}}\n"
	    "    saturationDetector: {pluginRef: a}\n"
	    "    flowControl: {saturationDetector: {pluginRef: b}}\n");

	(void)state;
	assert_float_equal(o->pools[0].saturation.queue_depth, 12, 0);
	options_free(o);
}

static void test_unless_it_says_when_numbers_are_old_scrapes_do(void **state)
{
	struct options *o = parse(PLUGINS
	    "    - type: utilization-detector\n"
	    "    - {type: metrics-data-source, parameters: {interval: 400ms}}\n");

	(void)state;
	assert_int_equal(o->pools[0].scrape.interval_ms, 400);
	assert_int_equal(o->pools[0].saturation.stale_ms, 1600);
	options_free(o);
}

static void test_metrics_are_fetched_as_the_source_says(void **state)
{
	struct options *o = parse(PLUGINS
	    "    - {type: metrics-data-source, name: other, parameters:"
	    " {port: 1}}\n"
	    "    - name: mine\n"
	    "      type: metrics-data-source\n"
	    "      parameters: {scheme: https, path: /m?x=1, port: 9,"
	    " interval: 1s, insecureSkipVerify: false, caCertPath: /ca.pem}\n"
	    "    - {type: core-metrics-extractor, parameters:"
	    " {defaultEngine: sglang}}\n"
	    "    dataLayer: {sources: [{pluginRef: mine, extractors:"
	    " [{pluginRef: core-metrics-extractor}]}]}\n"
	    "  metrics: {timeout: 3s, staleAfter: 4s, maxBytes: 1MiB}\n");
	const struct scrape_options *s = &o->pools[0].scrape;

	(void)state;
	assert_true(s->enabled);
	assert_true(s->https);
	assert_string_equal(s->path, "/m?x=1");
	assert_int_equal(s->port, 9);
	assert_int_equal(s->interval_ms, 1000);
	assert_false(s->insecure_skip_verify);
	assert_string_equal(s->ca_file, "/ca.pem");
	assert_int_equal(s->timeout_ms, 3000);
	assert_int_equal(s->stale_ms, 4000);
	assert_int_equal(s->max_bytes, 1 << 20);
	assert_string_equal(o->pools[0].engine, "sglang");
	options_free(o);
	/* Without a word on its parameters: llm-d's, which trust anybody. */
	o = parse(PLUGINS "    - type: metrics-data-source\n"
	    "    - type: core-metrics-extractor\n  engine: sglang\n");
	s = &o->pools[0].scrape;
	assert_false(s->https);
	assert_string_equal(s->path, "/metrics");
	assert_int_equal(s->port, 0);
	assert_int_equal(s->interval_ms, 50);
	assert_true(s->insecure_skip_verify);
	assert_null(s->ca_file);
	assert_string_equal(o->pools[0].engine, "sglang");
	options_free(o);
}

static void test_metrics_are_left_alone_when_it_says_so(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} cases[] = {
		{ "", true },
		{ "    dataLayer: {injectDefaults: true}\n", true },
		{ "    dataLayer: {injectDefaults: false}\n", false },
		{ "    plugins: [{type: metrics-data-source}]\n"
		    "    dataLayer: {injectDefaults: false}\n", false },
		{ "    plugins: [{type: metrics-data-source}]\n"
		    "    dataLayer: {injectDefaults: false, sources:"
		    " [{pluginRef: metrics-data-source}]}\n", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[512];
		struct options *o;

		snprintf(text, sizeof(text), DOC "%s", cases[i].text);
		o = parse(text);
		assert_int_equal(o->pools[0].scrape.enabled, cases[i].want);
		options_free(o);
	}
}

/* It may be one of agent.yaml's own, further down. */
static void test_the_engine_may_be_one_of_ones_own(void **state)
{
	struct options *o = parse(PLUGINS
	    "    - {type: core-metrics-extractor, parameters:"
	    " {defaultEngine: mine}}\n"
	    "engines: [{name: mine, kvUsageSpec: kv}]\n");

	(void)state;
	assert_string_equal(o->pools[0].engine, "mine");
	options_free(o);
}

static void expect_band(const struct flow_band_options *b, int32_t priority,
    uint64_t max_requests, uint64_t max_bytes)
{
	assert_int_equal(b->priority, priority);
	assert_int_equal(b->max_requests, max_requests);
	assert_int_equal(b->max_bytes, max_bytes);
}

/* k is 1000 and Ki 1024; a band's zero is its default, the whole's zero no limit. */
static void test_who_waits_is_as_it_says(void **state)
{
	struct options *o = parse(DOC GATE
	    "    plugins:\n"
	    "    - {type: round-robin-fairness-policy, name: rr}\n"
	    "    - {type: slo-deadline-ordering-policy, name: slo}\n"
	    "    - type: edf-ordering-policy\n"
	    "    flowControl:\n"
	    "      maxRequests: 2k\n"
	    "      maxBytes: '3Gi'\n"
	    "      defaultRequestTTL: 5s\n"
	    "      priorityBands:\n"
	    "      - {priority: 7, maxRequests: 1, maxBytes: 500Mi,"
	    " fairnessPolicyRef: rr, orderingPolicyRef: slo,"
	    " defaultRequestTTL: 9000ms}\n"
	    "      - {priority: -7, maxRequests: 0, maxBytes: 0,"
	    " defaultRequestTTL: 0s}\n"
	    "      - {priority: 0, maxRequests: 1Ki, maxBytes: 2M}\n"
	    "      defaultPriorityBand: {maxBytes: 1G,"
	    " orderingPolicyRef: edf-ordering-policy}\n");
	const struct flow_control_options *f = &o->pools[0].flow;
	const struct flow_options *q = &f->queue;

	(void)state;
	assert_true(f->enabled);
	assert_int_equal(f->ttl_ms, 5000);
	assert_int_equal(f->empty_ttl_ms, 5000);
	assert_int_equal(q->max_requests, 2000);
	assert_int_equal(q->max_bytes, 3ull << 30);
	assert_int_equal(q->n_bands, 3);
	expect_band(&q->bands[2], 0, 1024, 2000000);
	expect_band(&q->bands[0], 7, 1, 500 << 20);
	assert_int_equal(q->bands[0].fairness, FLOW_ROUND_ROBIN);
	assert_int_equal(q->bands[0].ordering, FLOW_SLO_DEADLINE);
	assert_int_equal(q->bands[0].ttl_ms, 9000);
	expect_band(&q->bands[1], -7, 5000, 1000000000);
	assert_int_equal(q->bands[1].ttl_ms, 3600000);
	assert_int_equal(q->bands[2].ttl_ms, 0);
	assert_int_equal(q->bands[1].fairness, FLOW_GLOBAL_STRICT);
	assert_int_equal(q->bands[1].ordering, FLOW_FCFS);
	expect_band(&q->default_band, 0, 5000, 1000000000);
	assert_int_equal(q->default_band.ordering, FLOW_EDF);
	/* Not given, it is the default's. */
	assert_int_equal(q->default_negative_band.ordering, FLOW_EDF);
	options_free(o);
}

static void test_a_gate_alone_lets_requests_wait_as_llm_d_does(void **state)
{
	struct options *o = parse(DOC GATE);
	const struct flow_control_options *f = &o->pools[0].flow;

	(void)state;
	assert_true(f->enabled);
	assert_int_equal(f->ttl_ms, 60000);
	assert_int_equal(f->empty_ttl_ms, 60000);
	assert_int_equal(f->queue.max_requests, 0);
	assert_int_equal(f->queue.max_bytes, 0);
	assert_int_equal(f->queue.n_bands, 0);
	expect_band(&f->queue.default_band, 0, 5000, 1000000000);
	expect_band(&f->queue.default_negative_band, 0, 5000, 1000000000);
	options_free(o);
}

static void test_a_negative_band_that_is_given_has_its_own_defaults(
    void **state)
{
	struct options *o = parse(DOC GATE
	    "    flowControl: {defaultPriorityBand: {maxRequests: 1},"
	    " defaultNegativePriorityBand: {},"
	    " defaultRequestTTL: 876000h, noEndpointRequestTTL: 10m}\n");
	const struct flow_control_options *f = &o->pools[0].flow;

	(void)state;
	expect_band(&f->queue.default_band, 0, 1, 1000000000);
	expect_band(&f->queue.default_negative_band, 0, 5000, 1000000000);
	assert_int_equal(f->ttl_ms, 3600000);
	assert_int_equal(f->empty_ttl_ms, 600000);
	options_free(o);
}

static void test_without_the_gate_nobody_waits(void **state)
{
	struct options *o = parse(DOC "    flowControl: {maxRequests: 5}\n");

	(void)state;
	assert_false(o->pools[0].flow.enabled);
	assert_int_equal(o->pools[0].flow.queue.max_requests, 0);
	options_free(o);
}

/* ---- from a file ---- */

static const char *write_document(const char *name, const char *text)
{
	static char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

static const char *pool_by(const char *path)
{
	static char text[256];

	snprintf(text, sizeof(text), POOL "  scheduling: %s\n", path);
	return text;
}

#define FILE_HEAD "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"

static void test_a_document_may_be_a_file(void **state)
{
	const char *path = write_document("good.yaml", FILE_HEAD
	    "plugins:\n- {type: queue-scorer, name: q}\n- type: random-picker\n"
	    "schedulingProfiles:\n- name: by-file\n  plugins:\n"
	    "  - {pluginRef: q, weight: 5}\n");
	struct options *o = parse(pool_by(path));
	char want[512];

	(void)state;
	assert_string_equal(profile_of(o)->name, "by-file");
	expect_scorer(profile_of(o), 0, "queue-scorer", 5);
	assert_string_equal(profile_of(o)->picker->name, "random-picker");
	assert_string_equal(o->pools[0].scheduling->file, path);
	snprintf(want, sizeof(want), "%s:4: approximate: queue-scorer: %s\n"
	    "%s:5: exact: random-picker\n", path, differs_of("queue-scorer"),
	    path);
	assert_string_equal(report_of(o), want);
	options_free(o);
	unlink(path);
}

/* JSON is YAML here. */
static void test_a_document_may_be_json(void **state)
{
	const char *path = write_document("good.json",
	    "{\"apiVersion\": \"llm-d.ai/v1alpha1\", \"kind\":"
	    " \"EndpointPickerConfig\", \"plugins\": [{\"type\":"
	    " \"queue-scorer\"}], \"schedulingProfiles\": [{\"name\": \"a\","
	    " \"plugins\": [{\"pluginRef\": \"queue-scorer\", \"weight\":"
	    " 2.0}]}]}");
	struct options *o = parse(pool_by(path));

	(void)state;
	expect_scorer(profile_of(o), 0, "queue-scorer", 2);
	options_free(o);
	unlink(path);
}

static void test_its_faults_name_the_file(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *found, *want;
	} files[] = {
		{ "", 1, "an EndpointPickerConfig: nothing", "a map" },
		{ "# nothing\n", 1, "an EndpointPickerConfig: nothing",
		    "a map" },
		{ "- a\n", 1, "an EndpointPickerConfig: a list", "a map" },
		{ "plugins\n", 1, "an EndpointPickerConfig: plugins", "a map" },
		{ FILE_HEAD "plugins:\n- type: x\n", 4, "do not have: x",
		    "one of" },
		{ FILE_HEAD "plugins:\n- type: core-metrics-extractor\n"
		    "  parameters:\n    defaultEngine: vlmm\n", 6,
		    "defaultEngine: vlmm", "vllm" },
		{ FILE_HEAD "---\n" FILE_HEAD, 3, "", "" },
		{ FILE_HEAD "kind: EndpointPickerConfig\n", 3, "kind", "" },
		{ FILE_HEAD "plugins: &a []\n", 3, "anchor", "" },
		{ FILE_HEAD "plugins: [\n", 4, "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		const char *path = write_document("bad.yaml", files[i].text);

		expect_fault_in(path, pool_by(path), files[i].line,
		    files[i].found, files[i].want);
		unlink(path);
	}
}

static void test_what_cannot_be_read_is_named(void **state)
{
	char path[160];

	(void)state;
	snprintf(path, sizeof(path), "%s/none.yaml", dir);
	expect_fault_in(path, pool_by(path), 0, "No such file", "");
	expect_fault_in(dir, pool_by(dir), 0, "not a regular file", "");
	expect_fault_in("/dev/zero", pool_by("/dev/zero"), 0,
	    "not a regular file", "");
	/* It refers to itself: a path is no document. */
	write_document("self.yaml", "");
	snprintf(path, sizeof(path), "%s/self.yaml", dir);
	write_document("self.yaml", path);
	expect_fault_in(path, pool_by(path), 1, "an EndpointPickerConfig: /",
	    "a map");
	unlink(path);
}

/* The tree that it came from is gone by then; ASan would tell. */
static void test_nothing_of_it_refers_to_the_text(void **state)
{
	const char *path = write_document("whole.yaml", "");
	struct options *o;
	struct buf text;
	FILE *out;

	(void)state;
	buf_init(&text, 64 << 10);
	for (const char *c = sample + strlen(POOL "  scheduling:\n");
	     *c != '\0';) {
		size_t n = strcspn(c, "\n") + 1;

		buf_put(&text, c + 4, n - 4);
		c += n;
	}
	buf_put(&text, "", 1);
	path = write_document("whole.yaml", text.data);
	buf_fini(&text);
	o = parse(pool_by(path));
	unlink(path);
	out = fopen("/dev/null", "w");
	assert_non_null(out);
	picker_config_report(o->pools[0].scheduling, out);
	picker_config_warn(o->pools[0].scheduling, "p");
	fclose(out);
	assert_int_equal(o->pools[0].scheduling->n_lines, 14);
	assert_int_equal(o->pools[0].scheduling->lines[0].line, 3);
	assert_string_equal(profile_of(o)->name, "default");
	options_free(o);
}

/* ---- reloads ---- */

static void test_a_view_keeps_the_profile_that_it_was_made_by(void **state)
{
	struct options *o = parse(PLUGINS "    - {type: prefix-cache-scorer,"
	    " parameters: {matchLengthScaleTokens: 5}}\n");
	struct pool *pool = pool_new(&o->pools[0]);
	const struct endpoint_view *old, *next;
	struct options *other;

	(void)state;
	assert_non_null(pool);
	old = pool_view(pool, 1);
	assert_ptr_equal(old->schedule, o->pools[0].schedule);
	/* A broken document changes nothing. */
	expect_fault(PLUGINS "    - type: prefix-cache-scorrer\n", 8, "",
	    "prefix-cache-scorer");
	next = pool_view(pool, 2);
	assert_ptr_equal(next->schedule, old->schedule);
	pool_view_unref(next);
	/* A good one is the next view's, and the old one has what it had. */
	other = parse(PLUGINS "    - type: random-picker\n");
	pool->options = &other->pools[0];
	options_free(o);
	next = pool_view(pool, 3);
	assert_string_equal(next->schedule->profiles->picker->name, "random-picker");
	assert_string_equal(old->schedule->profiles->scorers[0].scorer->name,
	    "prefix-cache-scorer");
	assert_string_equal(old->options->scheduling->file, "f");
	pool_view_unref(old);
	pool_view_unref(next);
	pool_unref(pool);
	options_free(other);
}

/* ---- hostile ---- */

static int decode(const char *text, size_t max_bytes, struct fault *why)
{
	struct arena *tree = arena_new(4096, 1 << 20);
	struct arena *arena = arena_new(64, max_bytes);
	struct fault yaml_why = { 0 };
	const struct conf *root = yaml_parse("f", span_of(text),
	    &yaml_limits_default, tree, &yaml_why);
	const struct conf_input in = { "f", arena, why };
	struct picker_config *config;
	int err;

	assert_non_null(root);
	assert_non_null(arena);
	err = picker_config_decode(&in, conf_child(conf_child(root,
	    "pools")->children, "scheduling"), &config);
	arena_free(tree);
	arena_free(arena);
	return err;
}

static void test_too_little_memory_is_a_fault(void **state)
{
	size_t n_without = 0;

	(void)state;
	for (size_t max = 64; max < 1 << 20; max += 16 + max / 256 * 16) {
		struct fault why = { 0 };
		int err = decode(sample, max, &why);

		if (err == 0)
			break;
		assert_int_equal(err, -ENOMEM);
		assert_true(why.is_set);
		assert_non_null(strstr(why.found, "no memory"));
		n_without++;
	}
	assert_true(n_without > 20);
}

static void test_every_truncation_is_taken_or_a_fault(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(sample); len++) {
		struct fault why = { 0 };
		struct options *o = options_parse("f",
		    (struct span){ sample, len }, &why);

		assert_int_equal(o == NULL, why.is_set);
		options_free(o);
	}
}

/* Each line away, in turn: whatever that makes, it is a document or a fault. */
static void test_every_line_may_be_missing(void **state)
{
	size_t n_good = 0, n_bad = 0;

	(void)state;
	for (const char *c = sample; *c != '\0'; c += strcspn(c, "\n") + 1) {
		size_t n = strcspn(c, "\n") + 1;
		struct fault why = { 0 };
		struct options *o;
		struct buf text;

		buf_init(&text, 64 << 10);
		buf_put(&text, sample, (size_t)(c - sample));
		buf_puts(&text, c + n);
		o = options_parse("f", buf_span(&text), &why);
		assert_int_equal(o == NULL, why.is_set);
		n_good += o != NULL;
		n_bad += o == NULL;
		options_free(o);
		buf_fini(&text);
	}
	assert_true(n_good > 10 && n_bad > 10);
}

static size_t times_printed(const char *text, const struct other_type *o)
{
	char line[128];
	size_t n = 0;

	snprintf(line, sizeof(line), ": %s\n", o->name);
	for (; (text = strstr(text, line)) != NULL; text++)
		n++;
	return n;
}

/* A plugin's rows begin with two blanks and the key. */
static void expect_no_row_twice(const char *text)
{
	const char *plugin = text, *next;

	for (; (next = strchr(text, '\n')) != NULL; text = next + 1) {
		char row[128];
		int key;

		if (text[0] != ' ') {
			plugin = text;
			continue;
		}
		key = (int)strcspn(text + 2, " ");
		snprintf(row, sizeof(row), "\n  %.*s ", key, text + 2);
		if (strstr(plugin, row) != text - 1)
			fail_msg("%.*s twice of %.60s", key, text + 2, plugin);
	}
}

static void test_every_plugin_is_printed_with_its_parameters(void **state)
{
	static const char *const lines[] = {
		"filter: decode-filter\n", "scorer: token-load-scorer\n",
		"picker: max-score-picker\n", "decider: always-disagg-pd-decider\n",
		"profile handler: data-parallel-profile-handler\n"
		"  primaryPort                              8000 ",
		"other: approx-prefix-cache-producer\n"
		"  autoTune                                 true ",
		"  adapterLoadMs                            500 ",
		"  algorithm.normalization.fixedRange.min   0 ",
		/* Its parameters are another type's, and are printed with it. */
		"scorer: precise-prefix-cache-scorer\n"
		"  tokenProcessorConfig ",
		"other: static-usage-limit-policy\n"
		"  threshold                                1 ",
		"scorer: active-request-scorer\n",
		"  inFlightLoadProducerName                 ",
		"  topologyProducerName                     ",
	};
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	picker_config_print_help(out);
	fclose(out);
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		if (strstr(text, lines[i]) == NULL)
			fail_msg("%s: not in\n%s", lines[i], text);
	assert_null(strstr(text, "predicted-latency-producer"));
	assert_null(strstr(text, "(null)"));
	for (size_t i = 0; other_type_at(i) != NULL; i++)
		if (times_printed(text, other_type_at(i)) > 1)
			fail_msg("%s: twice in\n%s", other_type_at(i)->name, text);
	expect_no_row_twice(text);
	free(text);
}

static int set_up(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	return mkdtemp(dir) == NULL;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    test_what_is_wrong_says_where_and_what_would_be_right),
		cmocka_unit_test(test_what_fits_together_is_taken),
		cmocka_unit_test(test_a_profile_is_what_it_refers_to_in_its_order),
		cmocka_unit_test(test_plugins_are_known_by_name_not_by_type),
		cmocka_unit_test(test_a_producer_in_a_profile_does_no_harm),
		cmocka_unit_test(test_without_profiles_all_that_is_listed_decides),
		cmocka_unit_test(test_what_is_filter_and_scorer_is_both),
		cmocka_unit_test(
		    test_of_nothing_comes_what_we_do_without_a_document),
		cmocka_unit_test(test_every_plugin_can_be_listed),
		cmocka_unit_test(test_the_report_goes_down_the_document),
		cmocka_unit_test(test_each_line_says_what_becomes_of_it),
		cmocka_unit_test(
		    test_the_report_has_room_for_the_longest_document),
		cmocka_unit_test(test_what_a_document_does_not_say_is_the_pools),
		cmocka_unit_test(test_without_the_key_nothing_is_scheduled_by),
		cmocka_unit_test(test_the_prefix_index_is_what_the_producer_says),
		cmocka_unit_test(
		    test_saturation_is_by_the_detector_that_is_referred_to),
		cmocka_unit_test(test_the_newer_key_of_the_detector_wins),
		cmocka_unit_test(
		    test_unless_it_says_when_numbers_are_old_scrapes_do),
		cmocka_unit_test(test_metrics_are_fetched_as_the_source_says),
		cmocka_unit_test(test_metrics_are_left_alone_when_it_says_so),
		cmocka_unit_test(test_the_engine_may_be_one_of_ones_own),
		cmocka_unit_test(test_who_waits_is_as_it_says),
		cmocka_unit_test(
		    test_a_gate_alone_lets_requests_wait_as_llm_d_does),
		cmocka_unit_test(
		    test_a_negative_band_that_is_given_has_its_own_defaults),
		cmocka_unit_test(test_without_the_gate_nobody_waits),
		cmocka_unit_test(test_a_document_may_be_a_file),
		cmocka_unit_test(test_a_document_may_be_json),
		cmocka_unit_test(test_its_faults_name_the_file),
		cmocka_unit_test(test_what_cannot_be_read_is_named),
		cmocka_unit_test(test_nothing_of_it_refers_to_the_text),
		cmocka_unit_test(
		    test_a_view_keeps_the_profile_that_it_was_made_by),
		cmocka_unit_test(test_too_little_memory_is_a_fault),
		cmocka_unit_test(test_every_truncation_is_taken_or_a_fault),
		cmocka_unit_test(test_every_line_may_be_missing),
		cmocka_unit_test(test_every_plugin_is_printed_with_its_parameters),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
