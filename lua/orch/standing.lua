-- Whether what a resumed run has on record of a job still counts: only if each job that it needs
-- had come to an end that stands before it began.
--
-- A journal has jobs (rows by name), and by name the counts at which jobs began and came to an end
-- that stands. An end stands, also while a later session enters the job again, until something in
-- it is done in another way.

local function next_count(self)
  self.count = self.count + 1
  return self.count
end

--- Reads what is recorded of the jobs.
local function read(self)
  for _, each in ipairs(self.state:all("jobs", self.number)) do
    self.jobs[each.name], self.began[each.name] = each, each.began
    self.stands[each.name] = each.stands > 0 and each.stands or nil
    self.count = math.max(self.count, each.began, each.stands)
  end
end

local function begin(self, name) self.began[name] = self.began[name] or next_count(self) end

local function settle(self, name) self.stands[name] = self.stands[name] or next_count(self) end

local function forget(self, name)
  self.jobs[name], self.began[name], self.stands[name] = nil, nil, nil
end

--- Something in a job is done in another way than it was: what other jobs made of it no longer
--- counts.
local function fell(self, name)
  if not self.stands[name] then return end
  self.stands[name] = nil
  self.base:post("UPDATE jobs SET stands = 0 WHERE run = ? AND name = ?", self.number, name)
end

--- Has a job, if it has begun, done so after that other came to an end that stands?
local function begun_after(self, name, other)
  local stands = self.stands[other]
  return stands ~= nil and (self.began[name] == nil or stands < self.began[name])
end

return { read = read, begin = begin, settle = settle, forget = forget, fell = fell,
  begun_after = begun_after }
