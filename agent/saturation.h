/*
 * saturation.h - how full a pool is: 1 and above is full
 *
 * utilization-detector: an endpoint's is max(waiting / queueDepthThreshold,
 * kv used / kvCacheUtilThreshold), 1 when its numbers are older than
 * metricsStalenessThreshold; the pool's is the mean. concurrency-detector: the sum of
 * what is in flight over the sum of what may be, requests or tokens; or (hybrid) the
 * mean of what each endpoint is fuller by. An empty pool is full. Not clamped.
 * Source: llm-d-router, flowcontrol/saturationdetector/{utilization,concurrency}.
 * There, waiting is what was scraped; here, what we have sent since counts too, so that
 * a burst between two scrapes sees what it does. Endpoints that are down or ejected
 * take nothing and hence do not count, unless all are. Any thread.
 */
#pragma once

struct endpoint_view;

float saturation_of(const struct endpoint_view *view);
