-- The requests of wrk: one for each line of a file, then from the first line again. A line is the JSON body of a login,
-- or the value of Authorization of a token check.
--
-- The last line of the output is "ANSWERS SECONDS FAILURES".

local requests = {}
local sent = 0

function init(args)
    for line in io.lines(args[1]) do
        if line:sub(1, 1) == "{" then
            requests[#requests + 1] = wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, line)
        else
            requests[#requests + 1] = wrk.format("GET", nil, { Authorization = line })
        end
    end
end

function request()
    sent = sent + 1
    return requests[(sent - 1) % #requests + 1]
end

function done(summary)
    local failures = 0
    for _, number in pairs(summary.errors) do
        failures = failures + number
    end
    print(summary.requests, summary.duration / 1000000, failures)
end
