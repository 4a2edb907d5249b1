# Makes the tables of untouched programs, in Markdown.
#
# Reads results: the way in, client, version, way, ok|FAIL. suites and by are what ran and how
# programs were led here. Every client must have a result for every way of its tables: a row that
# is missing is as bad as one that failed. Writes what is wrong to the file named by failed.

BEGIN {
	FS = "\t"
	n_by = split(by, bys, /[ \n]+/)
	n_ways = split("secret|certificate|certificate chain|environment|DefaultAzureCredential|v1.0 token|wrong secret|unknown tenant|managed identity|IMDS|workload identity|az|azd", ways, "|")
	clients("go", "azidentity|MSAL Go|ADAL Go")
	clients("node", "@azure/identity|@azure/msal-node|adal-node")
	clients("python", "azure-identity (Python)|azure-identity.aio|MSAL Python|ADAL Python")
	clients("java", "azure-identity (Java)|msal4j")
	clients("rust", "azure_identity (Rust)")
	lacks("MSAL Go|@azure/msal-node|MSAL Python|msal4j", "environment|DefaultAzureCredential|workload identity|az|azd")
	lacks("ADAL Go|adal-node", "certificate chain")
	lacks("ADAL Go|adal-node|ADAL Python", "environment|DefaultAzureCredential|workload identity|az|azd")
	lacks("adal-node|ADAL Python", "managed identity|IMDS")
	tool("python", "google-auth", "workload federation")
	tool("azure-cli", "Azure CLI", "service principal, secret|service principal, certificate|managed identity|administration")
	tool("kubelogin", "kubelogin", "spn, secret|spn, certificate|spn, legacy|spn certificate, legacy|spn, PoP|msi|workloadidentity|azurepipelines|azurecli|azd|devicecode|devicecode, legacy|interactive|ropc")
	lacks("azure_identity (Rust)", "environment|DefaultAzureCredential")
	printf "" >failed
}

function clients(suite, names,    list, n, i) {
	n = split(names, list, "|")
	for (i = 1; i <= n; i++) { client[++n_clients] = list[i]; suite_of[n_clients] = suite }
}

function lacks(names, missing,    list, without, n, m, i, j) {
	n = split(names, list, "|")
	m = split(missing, without, "|")
	for (i = 1; i <= n; i++) for (j = 1; j <= m; j++) lacking[list[i], without[j]] = 1
}

function tool(suite, name, its,    list, n, i) {
	n = split(its, list, "|")
	for (i = 1; i <= n; i++) { tool_name[++n_tools] = name; tool_way[n_tools] = list[i]; tool_suite[n_tools] = suite }
}

{ version[$2] = $3; result[$1, $2, $4] = $5 }

END {
	for (b = 1; b <= n_by; b++) if (bys[b] != "") print_libraries(bys[b])
	print_tools()
}

function ran(suite) { return index(" " suites " ", " " suite " ") > 0 }

function print_libraries(way_in,    c, w, row, began) {
	for (c = 1; c <= n_clients; c++) {
		if (!ran(suite_of[c])) continue
		if (!began++) {
			row = "| client | version |"
			for (w = 1; w <= n_ways; w++) row = row " " ways[w] " |"
			print "\nLibraries, by " way_in ":\n\n" row
			gsub(/[^|]+/, "---", row)
			print row
		}
		row = "| " client[c] " | " version[client[c]] " |"
		for (w = 1; w <= n_ways; w++) row = row " " judge(way_in, client[c], ways[w]) " |"
		print row
	}
}

function print_tools(    t, b, row, began) {
	for (t = 1; t <= n_tools; t++) {
		if (!ran(tool_suite[t])) continue
		if (!began++) {
			row = "| tool | version | way |"
			for (b = 1; b <= n_by; b++) if (bys[b] != "") row = row " by " bys[b] " |"
			print "\nTools:\n\n" row
			gsub(/[^|]+/, "---", row)
			print row
		}
		row = "| " tool_name[t] " | " version[tool_name[t]] " | " tool_way[t] " |"
		for (b = 1; b <= n_by; b++) if (bys[b] != "") row = row " " judge(bys[b], tool_name[t], tool_way[t]) " |"
		print row
	}
}

function judge(way_in, name, way,    got) {
	if ((name, way) in lacking) return "-"
	got = result[way_in, name, way]
	if (got == "ok") return got
	print "by " way_in ", " name ", " way ": " (got == "" ? "MISSING" : got) >failed
	return got == "" ? "MISSING" : got
}
