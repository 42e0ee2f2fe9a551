module redis-lite

go 1.25
