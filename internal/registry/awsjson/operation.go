package awsjson

import (
	sd "github.com/aws/aws-sdk-go-v2/service/servicediscovery"
	"github.com/aws/aws-sdk-go-v2/service/servicediscovery/types"

	"github.com/mapwarden/mapwarden/internal/registry"
)

func getOperation(reg *registry.Registry, in *sd.GetOperationInput) (*sd.GetOperationOutput, error) {
	op, err := reg.Operation(value(in.OperationId), value(in.OwnerAccount))
	if err != nil {
		return nil, err
	}
	account := reg.Account()
	targets := make(map[string]string, 2)
	for kind, id := range map[types.OperationTargetType]string{
		types.OperationTargetTypeNamespace: op.Targets.Namespace,
		types.OperationTargetTypeService:   op.Targets.Service,
		types.OperationTargetTypeInstance:  op.Targets.Instance,
	} {
		if id != "" {
			targets[string(kind)] = id
		}
	}
	return &sd.GetOperationOutput{Operation: &types.Operation{
		CreateDate: &op.CreateDate, Id: &op.ID, OwnerAccount: &account, Status: types.OperationStatus(op.Status),
		Targets: targets, Type: types.OperationType(op.Type), UpdateDate: &op.UpdateDate,
	}}, nil
}

func listOperations(reg *registry.Registry, in *sd.ListOperationsInput) (*sd.ListOperationsOutput, error) {
	var filters []registry.Filter
	for _, f := range in.Filters {
		filters = append(filters, registry.Filter{Name: string(f.Name), Values: f.Values, Condition: string(f.Condition)})
	}
	found, next, err := reg.Operations(page(in.NextToken, in.MaxResults), filters)
	if err != nil {
		return nil, err
	}
	out := &sd.ListOperationsOutput{Operations: make([]types.OperationSummary, 0, len(found)), NextToken: text(next)}
	for _, op := range found {
		out.Operations = append(out.Operations, types.OperationSummary{Id: &op.ID, Status: types.OperationStatus(op.Status)})
	}
	return out, nil
}
