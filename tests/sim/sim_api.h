/*
 * sim_api.h - the routes of a simulated server
 */
#pragma once

#include "sim_conn.h"

void sim_api_on_request(struct sim_conn *c, struct sim_request *r);
void sim_api_on_drain(struct sim_conn *c);
