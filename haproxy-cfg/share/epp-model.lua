-- epp-model.lua - the model that the agent chose, into the request; the client's own,
-- back into the answer
--
-- The agent has parsed the body and says where its model stands (txn.epp.model_at,
-- model_len: bytes between the quotes) and what to put there (txn.epp.model). Nothing
-- is searched for here, no JSON is parsed.
--
-- Lengths are changed by rules of haproxy.cfg, before (2.6.12 has no header methods after
-- wait-for-body, and from 3.0 on a body without any length is sent as none). So what is
-- promised there must be done here: a request that cannot be changed as promised is
-- answered 400, and an answer is filled up with blanks behind its JSON.
--
-- HAProxy calls http_payload() with what its buffer holds and has not let go yet; the
-- number that it returns goes on, the rest is shown again with what comes behind it. (A
-- nil would count as 0.) Only that: 2.6 and 3.0 do not always ask again when there is more
-- room, and a timer of 1 ms (filter.wake_time) made 3.0 run in circles until its watchdog
-- ended it. So what does not fit now is never waited for. HAProxy 2.6 and later.

local Model = { id = "epp-model", flags = filter.FLT_CFG_FL_HTX }
Model.__index = Model

function Model:new()
    return setmetatable({}, Model)
end

-- As the agent counted it: its names have no control characters.
local function to_json(name)
    return (name:gsub('["\\]', '\\%0'))
end

-- Streams of which nothing is to be changed cost no more than this.
function Model:http_headers(txn, msg)
    if msg.channel:is_resp() then
        -- The rules that set it have looked at the answer's headers.
        local rename = txn:get_var('txn.epp.rename')

        if self.client ~= nil and rename ~= nil then
            self.room = rename == 2 and txn:get_var('txn.epp.model_room') or nil
            filter.register_data_filter(self, msg.channel)
        end
        return filter.CONTINUE
    end
    local model = txn:get_var('txn.epp.model')

    if model ~= nil then
        self.target = to_json(model)
        self.at = txn:get_var('txn.epp.model_at')
        self.len = txn:get_var('txn.epp.model_len')
        filter.register_data_filter(self, msg.channel)
    end
    return filter.CONTINUE
end

-- What stands between the quotes, if they are where the agent saw them.
local function find_model(msg, at, len)
    local text = msg:body(at - 1, len + 2)

    if text ~= nil and #text == len + 2 and text:sub(1, 1) == '"' and
        text:sub(-1) == '"' then
        return text:sub(2, -2)
    end
end

-- All that the agent saw is here at once: HAProxy waited for it. For a name that is
-- longer there is room too: tune.maxrewrite is kept free, 1024 bytes of it.
function Model:request(msg)
    if self.client == nil then
        local client = self.at + self.len < msg:input() and
            find_model(msg, self.at, self.len)

        if not client or msg:set(self.target, self.at, self.len) < 0 then
            return filter.ERROR
        end
        self.client = client
    end
    return msg:input()
end

-- ---- answers ----

-- One JSON token after the other, with white space between, as a server may write them.
-- Where in `data` the name begins, if they are there from `at` on; or 0 if they may be,
-- once there is more; or nil.
local function find_name(data, at, name)
    local tokens = { '"model"', ':', '"' .. name .. '"' }

    for i, token in ipairs(tokens) do
        local part = data:sub(at, at + #token - 1)

        if part ~= token then
            return #data < at + #token - 1 and token:sub(1, #part) == part and 0 or nil
        end
        if i == #tokens then
            return at + 1
        end
        at = data:find('[^ \t\r\n]', at + #token) or #data + 1
    end
end

-- White space has no limit, patience has: no more than this is held back.
local HELD_MAX = 64

-- Where what may be the beginning of a model's name starts at the end of `data`.
local function find_rest(data, name)
    local at = data:find('"', math.max(1, #data - #name - HELD_MAX), true)

    while at ~= nil do
        if find_name(data, at, name) == 0 then
            return at
        end
        at = data:find('"', at + 1, true)
    end
end

-- Where the answer's length was told, no more grows than there is room for; elsewhere, no
-- more than the buffer has room for, which is short only while a client does not keep
-- up. Such a name stays the server's. By how much the answer has grown.
function Model:rename(msg, at)
    local grow = #self.client - #self.target

    if (self.room ~= nil and grow > self.room) or
        msg:set(self.client, at, #self.target) < 0 then
        return 0
    end
    if self.room ~= nil then
        self.room = self.room - grow
    end
    return grow
end

-- How much may go; `rest` is where what may be a name begins. The room that was not used
-- is filled behind the last byte, which is kept until it is known to be the last. (It
-- fits: two names are shorter than what tune.maxrewrite keeps free.)
function Model:let_go(msg, rest)
    if msg:may_recv() then
        return rest or math.max(msg:input() - (self.room ~= nil and 1 or 0), 0)
    end
    if self.room ~= nil and self.room > 0 and
        msg:append(string.rep(' ', self.room)) < 0 then
        return filter.ERROR
    end
    self.room = nil
    return msg:input()
end

function Model:response(msg)
    local data = msg:body() or ''
    local shift, at = 0, data:find('"model"', 1, true)

    while at ~= nil do
        local name = find_name(data, at, self.target)

        if name ~= nil and name > 0 then
            shift = shift + self:rename(msg, name - 1 + shift)
        end
        at = data:find('"model"', at + 7, true)
    end
    local rest = find_rest(data, self.target)

    return self:let_go(msg, rest and rest - 1 + shift)
end

function Model:http_payload(txn, msg)
    if msg.channel:is_resp() then
        return self:response(msg)
    end
    return self:request(msg)
end

core.register_filter('epp-model', Model, function(class, args)
    return class
end)
